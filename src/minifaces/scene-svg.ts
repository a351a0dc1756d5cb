import { drawAccessory } from "./draw/accessories.ts";
import { drawBackground } from "./draw/background.ts";
import { drawBeard } from "./draw/beard.ts";
import { drawBody } from "./draw/clothes.ts";
import { drawBrows, drawEyes } from "./draw/eyes.ts";
import { drawEars, drawFace, drawMouth, drawNose, drawWrinkles } from "./draw/face.ts";
import { createHair } from "./draw/hair.ts";
import { paperBorder } from "./draw/paper.ts";
import { headOf } from "./head.ts";
import { svg } from "./markup.ts";
import { createPen } from "./pen.ts";
import type { DrawnPerson } from "./person.ts";
import type { Scene } from "./scene.ts";

/**
 * `picture`: everything. `person`: the person alone on transparency, so that alpha is the mask.
 * `idImage`: head and shoulders on transparency, centred on the face. `portrait`: an `idImage` whose square the background fills.
 */
export type View = "picture" | "person" | "idImage" | "portrait";

/** Half of the side of an ID image, in units of the head. */
const ID_REACH = 37;

/** The picture as a square SVG without a fixed size. */
export function sceneSvg(person: DrawnPerson, scene: Scene, view: View): string {
  const { x, y, scale } = scene;
  const figure = figureMarkup(person, scene);
  if (view === "person") return canvas(figure);
  if (view === "picture") return canvas(backgroundMarkup(scene) + figure + borderMarkup(scene));
  const [left, top, side] = [x - ID_REACH * scale, y - (ID_REACH + 3) * scale, 2 * ID_REACH * scale];
  const behind =
    view === "portrait" ? svg`<g transform="translate(${left} ${top}) scale(${side / 100})">${backgroundMarkup(scene)}</g>` : "";
  return svg`<svg xmlns="http://www.w3.org/2000/svg" viewBox="${left} ${top} ${side} ${side}">${behind}${figure}</svg>`;
}

/** The picture's layers, from back to front; the second is the person alone. */
export const layerSvgs = (person: DrawnPerson, scene: Scene): string[] =>
  [backgroundMarkup(scene), figureMarkup(person, scene), borderMarkup(scene)].filter((markup) => markup !== "").map(canvas);

const canvas = (markup: string): string => `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">${markup}</svg>`;

function backgroundMarkup(scene: Scene): string {
  const pen = createPen("b", scene, "background");
  drawBackground(pen, scene);
  return pen.markup();
}

const borderMarkup = (scene: Scene): string => (scene.style === "watercolor" ? paperBorder(scene) : "");

const figureMarkup = (person: DrawnPerson, scene: Scene): string =>
  svg`<g transform="translate(${scene.x} ${scene.y}) rotate(${scene.tilt}) scale(${scene.scale})">${personMarkup(person, scene)}</g>`;

function personMarkup(person: DrawnPerson, scene: Scene): string {
  const pen = createPen("p", scene, "person");
  const head = headOf(person, scene);
  const hair = createHair(pen, head, scene);
  hair.drawBack();
  drawBody(pen, head, scene);
  if (scene.accessory === "scarf") drawAccessory(pen, head, scene);
  drawEars(pen, head, scene);
  drawFace(pen, head, person, scene);
  if (head.age === "old") drawWrinkles(pen, head);
  drawBeard(pen, head);
  drawNose(pen, head);
  drawEyes(pen, head, person, scene);
  drawMouth(pen, head, scene);
  hair.drawFront();
  drawBrows(pen, head, scene);
  if (scene.accessory !== "scarf") drawAccessory(pen, head, scene);
  return pen.markup();
}
