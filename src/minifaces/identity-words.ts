import type { Random } from "../core/random/seeded-random.ts";
import { hasGreyed } from "./head.ts";
import type { DrawnPerson, HairColour, HairStyle, IdentityNumber } from "./person.ts";
import type { Scene } from "./scene.ts";

/** Alternative phrases for one trait; `*` stands for the hair colour. All follow the word "with". */
type Phrase = readonly string[];

const HAIR: Readonly<Record<HairStyle, Phrase>> = {
  bald: ["a bald head"],
  buzz: ["buzzed * hair", "very short * hair"],
  parted: ["short parted * hair", "parted * hair"],
  spiky: ["short spiky * hair", "spiky * hair"],
  curly: ["short curly * hair", "curly * hair"],
  afro: ["a * afro", "an afro of * hair"],
  mohawk: ["a * mohawk"],
  long: ["long straight * hair", "straight * hair"],
  bob: ["a * bob", "a bob of * hair"],
  wavy: ["long wavy * hair", "wavy * hair"],
  ponytail: ["a * ponytail", "* hair in a ponytail"],
  bun: ["a * bun", "* hair in a bun"],
  pigtails: ["* pigtails", "* hair in pigtails"],
};
const BEARD = {
  stubble: ["stubble", "a short stubble"],
  moustache: ["a moustache", "a thick moustache"],
  goatee: ["a goatee"],
  full: ["a full beard", "a beard"],
} as const;
const MOLE = { left: "a mole on the left cheek", right: "a mole on the right cheek", chin: "a mole on the chin" } as const;
const SKIN = ["pale", "light", "tan", "brown", "dark"] as const;
const FACE = {
  round: "a round face",
  long: "a long face",
  square: "a square face",
  pointed: "a pointed face",
  oval: "an oval face",
};

/** Phrases for a number that is far below the middle, and for one far above. */
const DEGREES = {
  eyeSpacing: ["eyes close together", "eyes far apart"],
  browThickness: ["thin eyebrows", "thick eyebrows"],
  noseWidth: ["a small nose", "a big nose"],
  lipThickness: ["thin lips", "full lips"],
  mouthWidth: ["a small mouth", "a wide mouth"],
  earSize: ["small ears", "big ears"],
  blush: [undefined, "rosy cheeks"],
  eyeTilt: ["drooping eyes", "slanted eyes"],
} as const satisfies Partial<Record<IdentityNumber, readonly [string | undefined, string]>>;
const EYE_SIZES = ["small", "big"] as const;
const FAR = 0.4; // from the middle; three people in ten are beyond it on each side

export const skinWord = ({ numbers }: DrawnPerson): (typeof SKIN)[number] =>
  SKIN[Math.min(Math.floor(((numbers.skinTone + 1) / 2) * SKIN.length), SKIN.length - 1)]!;

/** The most fitting word for the shape of the face. */
export function faceShapeWord({ numbers: { faceWidth, faceHeight, jawWidth } }: DrawnPerson): keyof typeof FACE {
  const breadth = (faceWidth - faceHeight) / 2;
  if (Math.abs(jawWidth) > 0.45 && Math.abs(jawWidth) > Math.abs(breadth)) return jawWidth > 0 ? "square" : "pointed";
  if (Math.abs(breadth) > 0.3) return breadth > 0 ? "round" : "long";
  return "oval";
}

/** The word for the colour of the hair in this picture. */
export const hairColourWord = (person: DrawnPerson, scene: Scene): HairColour =>
  hasGreyed(person, scene) ? "grey" : person.hairColour;

/**
 * Phrases about who the person is, in random order; each trait is mentioned with the probability `share`.
 * @returns phrases that follow "with"
 */
export function identityPhrases(person: DrawnPerson, scene: Scene, random: Random, share: number): string[] {
  const { numbers } = person;
  const said: string[] = [];
  const say = (phrase: string | undefined) => {
    if (random.chance(share) && phrase !== undefined) said.push(phrase);
  };
  const child = scene.age === "child";
  const style = child && person.hairStyle === "bald" ? "buzz" : person.hairStyle;
  const colour = hairColourWord(person, scene);
  const styled = random.pick(HAIR[style]).replace("*", colour);
  say(style === "bald" || random.chance(0.8) ? styled : `${colour} hair`);
  const size = Math.abs(numbers.eyeSize) > FAR && random.chance(0.6) ? `${EYE_SIZES[numbers.eyeSize > 0 ? 1 : 0]} ` : "";
  say(`${size}${person.eyeColour} eyes`);
  say(`${skinWord(person)} skin`);
  say(FACE[faceShapeWord(person)]);
  for (const [name, [low, high]] of Object.entries(DEGREES)) {
    const number = numbers[name as IdentityNumber];
    say(number > FAR ? high : number < -FAR ? low : undefined);
  }
  say(person.freckles ? "freckles" : undefined);
  say(person.mole === "none" ? undefined : MOLE[person.mole]);
  say(person.beard === "none" || child ? undefined : random.pick(BEARD[person.beard]));
  return random.shuffle(said);
}

/** All phrases, for the vocabulary. */
export const IDENTITY_PHRASES: readonly string[] = [
  ...Object.values(HAIR).flat(),
  ...Object.values(BEARD).flat(),
  ...Object.values(MOLE),
  ...Object.values(DEGREES).flatMap((words) => words.filter((word) => word !== undefined)),
  ...Object.values(FACE),
  ...[...SKIN, ...EYE_SIZES, "skin", "eyes", "hair", "freckles"],
];
