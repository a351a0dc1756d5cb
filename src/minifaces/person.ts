import type { Random } from "../core/random/seeded-random.ts";

export type Gender = "male" | "female";
export type AgeGroup = "child" | "adult" | "old";
export type ClassWord = "man" | "woman" | "boy" | "girl";
export type HairStyle = keyof (typeof HAIR_STYLES)["male"];
export type HairColour = keyof (typeof HAIR_COLOURS)["adult"];
export type EyeColour = keyof typeof EYE_COLOURS;
export type Beard = keyof (typeof BEARDS)["male"];
export type Mole = keyof typeof MOLES;

/** Probability of each value. */
export const GENDERS = { male: 0.5, female: 0.5 };
export const AGE_GROUPS = { child: 0.18, adult: 0.62, old: 0.2 };
export const HAIR_STYLES = {
  male: {
    bald: 0.1,
    buzz: 0.13,
    parted: 0.2,
    spiky: 0.16,
    curly: 0.14,
    afro: 0.1,
    mohawk: 0.08,
    long: 0.05,
    bob: 0,
    wavy: 0,
    ponytail: 0,
    bun: 0.04,
    pigtails: 0,
  },
  female: {
    bald: 0,
    buzz: 0.02,
    parted: 0.05,
    spiky: 0.02,
    curly: 0.09,
    afro: 0.1,
    mohawk: 0,
    long: 0.17,
    bob: 0.17,
    wavy: 0.13,
    ponytail: 0.09,
    bun: 0.08,
    pigtails: 0.08,
  },
};
export const HAIR_COLOURS = {
  child: { black: 0.24, brown: 0.25, red: 0.18, blonde: 0.21, grey: 0, pink: 0.05, blue: 0.04, purple: 0.03 },
  adult: { black: 0.23, brown: 0.23, red: 0.17, blonde: 0.17, grey: 0.03, pink: 0.06, blue: 0.06, purple: 0.05 },
  old: { black: 0.05, brown: 0.05, red: 0.03, blonde: 0.05, grey: 0.74, pink: 0.03, blue: 0.02, purple: 0.03 },
};
export const EYE_COLOURS = { brown: 0.29, amber: 0.15, green: 0.2, blue: 0.22, grey: 0.14 };
export const BEARDS = {
  male: { none: 0.42, stubble: 0.13, moustache: 0.14, goatee: 0.13, full: 0.18 },
  female: { none: 1, stubble: 0, moustache: 0, goatee: 0, full: 0 },
};
/** Left and right are as seen in the picture. */
export const MOLES = { none: 0.7, left: 0.1, right: 0.1, chin: 0.1 };
export const FRECKLES = 0.22;

/** Traits that vary by degrees. Each is uniform in [-1, 1] among people of the same gender and age. */
export const IDENTITY_NUMBERS = [
  ...(["skinTone", "skinWarmth", "faceWidth", "faceHeight", "jawWidth", "chinWidth", "earSize", "blush"] as const),
  ...(["eyeSpacing", "eyeSize", "eyeOpenness", "eyeTilt", "eyeHeight", "browThickness", "browAngle", "browHeight"] as const),
  ...(["noseLength", "noseWidth", "mouthWidth", "mouthHeight", "lipThickness", "lipRedness"] as const),
  ...(["hairTone", "hairVolume", "hairline", "hairParting"] as const),
];
export type IdentityNumber = (typeof IDENTITY_NUMBERS)[number];

/** A person's identity, the same in all pictures. Plain data. */
export interface DrawnPerson {
  readonly gender: Gender;
  readonly ageGroup: AgeGroup;
  readonly hairStyle: HairStyle;
  readonly hairColour: HairColour;
  readonly eyeColour: EyeColour;
  readonly beard: Beard;
  readonly freckles: boolean;
  readonly mole: Mole;
  /** Each in [-1, 1]. */
  readonly numbers: Readonly<Record<IdentityNumber, number>>;
}

export interface PersonOptions {
  readonly gender?: Gender | undefined;
  readonly ageGroup?: AgeGroup | undefined;
}

/** Draws a person at random, of a given gender or age if asked. */
export function drawPerson(random: Random, options: PersonOptions = {}): DrawnPerson {
  const drawn = { gender: random.weighted(GENDERS), ageGroup: random.weighted(AGE_GROUPS) };
  const gender = options.gender ?? drawn.gender;
  const ageGroup = options.ageGroup ?? drawn.ageGroup;
  const numbers = {} as Record<IdentityNumber, number>;
  for (const name of IDENTITY_NUMBERS) numbers[name] = random.uniform(-1, 1);
  const hairStyle = random.weighted(HAIR_STYLES[gender]);
  const beard = random.weighted(BEARDS[gender]);
  return {
    gender,
    ageGroup,
    hairStyle: ageGroup === "child" && hairStyle === "bald" ? "buzz" : hairStyle,
    hairColour: random.weighted(HAIR_COLOURS[ageGroup]),
    eyeColour: random.weighted(EYE_COLOURS),
    beard: ageGroup === "child" ? "none" : beard,
    freckles: random.chance(FRECKLES),
    mole: random.weighted(MOLES),
    numbers,
  };
}
