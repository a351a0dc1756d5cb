import type { Random } from "../core/random/seeded-random.ts";
import { IDENTITY_PHRASES, identityPhrases } from "./identity-words.ts";
import { type DrawnPerson, EYE_COLOURS, HAIR_COLOURS } from "./person.ts";
import {
  type Accessory,
  type Background,
  CLOTHES_COLOURS,
  CLOTHES_TYPES,
  classWordAt,
  EXPRESSIONS,
  PLAIN_COLOURS,
  type Scene,
  type Style,
} from "./scene.ts";

const STYLE: Readonly<Record<Style, readonly string[]>> = {
  photo: ["a photo of", "a portrait of", "a picture of"],
  comic: ["a comic of", "a comic drawing of"],
  sketch: ["a sketch of", "a pencil sketch of"],
  watercolor: ["a watercolor of", "a watercolor painting of"],
};
const BACKGROUND: Readonly<Record<Exclude<Background, "plain">, readonly string[]>> = {
  beach: ["on the beach", "at the beach"],
  forest: ["in the forest", "in a forest"],
  city: ["in the city", "in a city"],
  snow: ["in the snow", "in front of snow mountains"],
  desert: ["in the desert", "in a desert"],
  space: ["in space", "in front of a planet"],
  library: ["in the library", "in a library"],
  field: ["in a green field", "in the field"],
};
/** `*` stands for a colour. */
const ACCESSORY: Readonly<Record<Exclude<Accessory, "none">, string>> = {
  hat: "a * hat",
  glasses: "glasses",
  sunglasses: "sunglasses",
  headphones: "headphones",
  crown: "a crown",
  scarf: "a * scarf",
};
const CLASS_WORDS = ["man", "woman", "boy", "girl"];
const OTHER = "a an old closeup from afar wearing in with and , on background";

/** Probability that a part of the scene is left out. */
const LEFT_OUT = 0.12;
const FRAMING_SAID = 0.7;

export interface CaptionOptions {
  /** Probability that a trait of the person is mentioned, for each trait that can be. */
  readonly identity: number;
}

/** Parts of the scene that a caption may mention or leave out. */
export type ScenePart = "style" | "background" | "clothesColour" | "clothesType" | "accessory" | "expression" | "framing";

export interface Caption {
  readonly text: string;
  /** Parts that the text mentions. No accessory, a neutral face and a usual framing are never mentioned; the style always is. */
  readonly says: ReadonlySet<ScenePart>;
}

/** A sentence about the picture: words of VOCABULARY between single spaces. A comma is a word. */
export const captionOf = (person: DrawnPerson, scene: Scene, random: Random, options: CaptionOptions): string =>
  caption(person, scene, random, options).text;

/** The sentence of {@link captionOf}, and which parts of the scene it mentions. */
export function caption(person: DrawnPerson, scene: Scene, random: Random, { identity }: CaptionOptions): Caption {
  const said = () => !random.chance(LEFT_OUT);
  const closeup = scene.framing === "close" && random.chance(FRAMING_SAID) ? "closeup " : "";
  const style = random.pick(STYLE[scene.style]).replace(/^a /, `a ${closeup}`);
  const expression = scene.expression !== "neutral" && said() ? `${scene.expression} ` : "";
  const who = `${expression}${scene.age === "old" ? "old " : ""}${classWordAt(person, scene)}`;

  const clothes = said()
    ? `${random.pick(["wearing", "in"])} ${article(`${scene.clothesColour} ${scene.clothesType}`)}`
    : undefined;
  const accessory = scene.accessory === "none" ? undefined : wornWords(scene.accessory, scene);
  const together = clothes !== undefined && accessory !== undefined && random.chance(0.5);
  const alone = accessory && `${random.pick(["wearing", "with"])} ${accessory}`;
  const phrases = identityPhrases(person, scene, random, identity);
  const background = said() ? backgroundWords(scene, random) : undefined;
  const afar = scene.framing === "far" && random.chance(FRAMING_SAID) ? "from afar" : undefined;
  const parts = [
    together ? `${clothes} and ${accessory}` : clothes,
    together ? undefined : alone,
    background,
    afar,
    phrases.length > 0 ? `with ${enumerate(phrases, random)}` : undefined,
  ].filter((part) => part !== undefined);
  const says: Readonly<Record<ScenePart, boolean>> = {
    style: true,
    background: background !== undefined,
    clothesColour: clothes !== undefined,
    clothesType: clothes !== undefined,
    accessory: accessory !== undefined,
    expression: expression !== "",
    framing: closeup !== "" || afar !== undefined,
  };
  return {
    text: [style, article(who), ...random.shuffle(parts)].join(" "),
    says: new Set((Object.keys(says) as ScenePart[]).filter((part) => says[part])),
  };
}

const article = (words: string): string => `${/^[aeiou]/.test(words) ? "an" : "a"} ${words}`;

const wornWords = (accessory: Exclude<Accessory, "none">, { accessoryColour }: Scene): string =>
  ACCESSORY[accessory].replace(/^a \*/, article(accessoryColour));

const backgroundWords = ({ background, plainColour }: Scene, random: Random): string =>
  background === "plain" ? `on a ${plainColour} background` : random.pick(BACKGROUND[background]);

/** `x`, `x and y` or `x , y and z`; at times without the comma, as some people write. */
function enumerate(phrases: readonly string[], random: Random): string {
  const comma = random.chance(0.5) ? " , " : " ";
  if (phrases.length === 1) return phrases[0]!;
  return `${phrases.slice(0, -1).join(comma)} and ${phrases.at(-1)!}`;
}

/** All words that captions can contain, sorted. */
export const VOCABULARY: readonly string[] = [
  ...new Set(
    [
      ...IDENTITY_PHRASES,
      ...Object.values(STYLE).flat(),
      ...Object.values(BACKGROUND).flat(),
      ...Object.values(ACCESSORY),
      ...[HAIR_COLOURS.adult, EYE_COLOURS, CLOTHES_COLOURS, CLOTHES_TYPES.female, PLAIN_COLOURS].flatMap(Object.keys),
      ...Object.keys(EXPRESSIONS).filter((expression) => expression !== "neutral"),
      ...CLASS_WORDS,
      OTHER,
    ].flatMap((words) => words.split(" ").filter((word) => word !== "*")),
  ),
].sort();
