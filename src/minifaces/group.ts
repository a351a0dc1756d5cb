import type { Random } from "../core/random/seeded-random.ts";
import type { DrawnPerson } from "./person.ts";
import { drawScene, type Scene, type SceneKind } from "./scene.ts";

/** A person as they stand in a picture of several. */
export interface Member {
  readonly person: DrawnPerson;
  readonly scene: Scene;
}

/** Canvas units per unit of the head in an ID image: the face fills two thirds of its height. */
export const PORTRAIT_SCALE = 100 / 74;
/** Units of the head from the face's centre to the lower end of the body that is drawn. */
const BODY_END = 96;
/** Units of the head that a person needs from the middle to either side. */
const HALF_WIDTH = 33;

/**
 * Draws a scene in which the person is small: standing at the lower edge of a wide view.
 * @param share side of the face as a share of what it is in an ID image
 */
export function smallScene(person: DrawnPerson, random: Random, kind: SceneKind, share: number): Scene {
  const scene = drawScene(person, random, kind);
  const scale = PORTRAIT_SCALE * share;
  const reach = Math.max(0, 50 - HALF_WIDTH * scale);
  return { ...scene, framing: "far", scale, x: 50 + random.uniform(-reach, reach), y: standing(random, scale) };
}

/** Draws a picture of people side by side, from left to right, each about as large as the others. */
export function groupScenes(people: readonly DrawnPerson[], random: Random, kind: SceneKind): Member[] {
  const room = 100 / people.length;
  const scale = (room / (2 * HALF_WIDTH)) * random.uniform(0.85, 1);
  const shared = drawScene(people[0]!, random, kind);
  return people.map((person, i) => {
    const own = drawScene(person, random, kind);
    const { style, background, plainColour, light, lightFrom, warmth, detail } = shared;
    const size = Math.min(scale * random.uniform(0.92, 1.08), 1.2);
    const place = { scale: size, x: room * (i + 0.5 + random.uniform(-0.04, 0.04)), y: standing(random, size) };
    return {
      person,
      scene: { ...own, style, background, plainColour, light, lightFrom, warmth, detail, framing: "far", ...place },
    };
  });
}

/** Height of the face's centre at which the body reaches the lower edge. */
function standing(random: Random, scale: number): number {
  const lowest = 100 - 45 * scale;
  const highest = Math.max(100 - BODY_END * scale, 34 * scale);
  return random.uniform(Math.min(highest, lowest), lowest);
}
