import type { Random } from "../core/random/seeded-random.ts";
import { AGE_GROUPS, type AgeGroup, type ClassWord, type DrawnPerson, type Gender } from "./person.ts";

export type Style = keyof typeof STYLES;
export type Background = keyof typeof BACKGROUNDS;
export type PlainColour = keyof typeof PLAIN_COLOURS;
export type ClothesColour = keyof typeof CLOTHES_COLOURS;
export type ClothesType = keyof (typeof CLOTHES_TYPES)["female"];
export type Accessory = keyof typeof ACCESSORIES;
export type Expression = keyof typeof EXPRESSIONS;
export type Framing = keyof (typeof FRAMINGS)["free"];
/** Album: a plain photo, as used for ID images. Free: anything. */
export type SceneKind = "album" | "free";

/** Probability of each value in free pictures. */
export const STYLES = { photo: 0.64, comic: 0.12, sketch: 0.12, watercolor: 0.12 };
export const BACKGROUNDS = {
  beach: 0.12,
  forest: 0.11,
  city: 0.11,
  snow: 0.11,
  desert: 0.1,
  space: 0.1,
  library: 0.1,
  field: 0.1,
  plain: 0.15,
};
export const PLAIN_COLOURS = { grey: 1, teal: 1, yellow: 1, pink: 1, blue: 1 };
export const CLOTHES_COLOURS = { red: 1, orange: 1, yellow: 1, green: 1, blue: 1, purple: 1, pink: 1, white: 1, black: 1 };
export const CLOTHES_TYPES = {
  male: { shirt: 1, suit: 1, hoodie: 1, sweater: 1, dress: 0 },
  female: { shirt: 1, suit: 1, hoodie: 1, sweater: 1, dress: 1 },
};
export const ACCESSORIES = { none: 0.46, hat: 0.11, glasses: 0.1, sunglasses: 0.09, headphones: 0.08, crown: 0.08, scarf: 0.08 };
export const EXPRESSIONS = { neutral: 0.34, smiling: 0.34, surprised: 0.12, sad: 0.1, angry: 0.1 };
export const FRAMINGS = { album: { close: 0.25, mid: 0.75, far: 0 }, free: { close: 0.2, mid: 0.66, far: 0.14 } };
export const OTHER_AGE = 0.15;

/** Everything that a picture adds to the person in it. Plain data; lengths in hundredths of the picture's side. */
export interface Scene {
  readonly kind: SceneKind;
  readonly style: Style;
  readonly background: Background;
  /** Colour of a plain background */
  readonly plainColour: PlainColour;
  readonly clothesColour: ClothesColour;
  readonly clothesType: ClothesType;
  readonly accessory: Accessory;
  /** Colour of a hat or a scarf */
  readonly accessoryColour: ClothesColour;
  readonly expression: Expression;
  /** Age shown: the person's own, except in some free pictures. */
  readonly age: AgeGroup;
  readonly framing: Framing;
  /** Canvas units per unit of the head. */
  readonly scale: number;
  /** Centre of the face. */
  readonly x: number;
  readonly y: number;
  /** Turn of the head, to the picture's left (-1) or right (1). */
  readonly yaw: number;
  readonly tilt: number; // degrees
  /** Strength, where it comes from (-1 left, 1 right), and colour (-1 cold, 1 warm). */
  readonly light: number;
  readonly lightFrom: number;
  readonly warmth: number;
  /** Seed of the details of the background and of the paper. */
  readonly detail: number;
}

/** Draws the scene of a picture of this person at random; nothing is rendered yet. */
export function drawScene(person: DrawnPerson, random: Random, kind: SceneKind): Scene {
  const album = kind === "album";
  const style = random.weighted(STYLES);
  const accessory = random.weighted(ACCESSORIES);
  const otherAge = random.chance(OTHER_AGE);
  const ages = (Object.keys(AGE_GROUPS) as AgeGroup[]).filter((age) => age !== person.ageGroup);
  const age = random.pick(ages);
  const framing = random.weighted(FRAMINGS[kind]);
  const { scale, x, y } = FRAMES[framing];
  return {
    kind,
    style: album ? "photo" : style,
    background: random.weighted(BACKGROUNDS),
    plainColour: random.weighted(PLAIN_COLOURS),
    clothesColour: random.weighted(CLOTHES_COLOURS),
    clothesType: random.weighted(CLOTHES_TYPES[person.gender]),
    accessory: album ? "none" : accessory,
    accessoryColour: random.weighted(CLOTHES_COLOURS),
    expression: random.weighted(EXPRESSIONS),
    age: otherAge && !album ? age : person.ageGroup,
    framing,
    scale: random.uniform(...scale),
    x: 50 + random.uniform(-x, x),
    y: random.uniform(...y),
    yaw: random.uniform(-1, 1),
    tilt: random.bell(3.5),
    light: random.uniform(0.9, 1.06),
    lightFrom: random.uniform(-1, 1),
    warmth: random.uniform(-1, 1),
    detail: random.integer(2 ** 30),
  };
}

const FRAMES: Readonly<Record<Framing, { scale: [number, number]; x: number; y: [number, number] }>> = {
  close: { scale: [1.38, 1.56], x: 4, y: [54, 60] },
  mid: { scale: [1.08, 1.3], x: 7, y: [48, 55] },
  far: { scale: [0.74, 0.9], x: 12, y: [38, 48] },
};

const CLASS_WORDS: Readonly<Record<Gender, readonly [ClassWord, ClassWord]>> = {
  male: ["boy", "man"],
  female: ["girl", "woman"],
};

/** The class word at the age that the picture shows. `old` is a word of its own before it. */
export const classWordAt = ({ gender }: DrawnPerson, { age }: Pick<Scene, "age">): ClassWord =>
  CLASS_WORDS[gender][age === "child" ? 0 : 1];
