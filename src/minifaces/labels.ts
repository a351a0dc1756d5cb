import {
  AGE_GROUPS,
  BEARDS,
  type DrawnPerson,
  EYE_COLOURS,
  GENDERS,
  HAIR_COLOURS,
  HAIR_STYLES,
  IDENTITY_NUMBERS,
  MOLES,
} from "./person.ts";
import { ACCESSORIES, BACKGROUNDS, CLOTHES_COLOURS, CLOTHES_TYPES, EXPRESSIONS, FRAMINGS, type Scene, STYLES } from "./scene.ts";

const TRUTH = ["no", "yes"];

/** The categorical attributes of a person, and the values of each in the order of its labels. */
export const IDENTITY_CLASSES = {
  gender: Object.keys(GENDERS),
  ageGroup: Object.keys(AGE_GROUPS),
  hairStyle: Object.keys(HAIR_STYLES.male),
  hairColour: Object.keys(HAIR_COLOURS.adult),
  eyeColour: Object.keys(EYE_COLOURS),
  beard: Object.keys(BEARDS.male),
  freckles: TRUTH,
  mole: Object.keys(MOLES),
} as const satisfies Readonly<Record<string, readonly string[]>>;

/** The categorical attributes of a picture, and the values of each in the order of its labels. */
export const SCENE_CLASSES = {
  style: Object.keys(STYLES),
  background: Object.keys(BACKGROUNDS),
  clothesColour: Object.keys(CLOTHES_COLOURS),
  clothesType: Object.keys(CLOTHES_TYPES.female),
  accessory: Object.keys(ACCESSORIES),
  expression: Object.keys(EXPRESSIONS),
  age: Object.keys(AGE_GROUPS),
  framing: Object.keys(FRAMINGS.free),
} as const satisfies Readonly<Record<string, readonly string[]>>;

type Labels<Classes> = { readonly [Name in keyof Classes]: number };

/** The index of each attribute's value in IDENTITY_CLASSES. */
export const identityLabels = (person: DrawnPerson): Labels<typeof IDENTITY_CLASSES> =>
  labels(IDENTITY_CLASSES, { ...person, freckles: person.freckles ? "yes" : "no" });

/** The index of each attribute's value in SCENE_CLASSES. */
export const sceneLabels = (scene: Scene): Labels<typeof SCENE_CLASSES> => labels(SCENE_CLASSES, scene);

function labels<Name extends string>(
  classes: Readonly<Record<Name, readonly string[]>>,
  values: Readonly<Record<NoInfer<Name>, string>>,
): Record<Name, number> {
  const names = Object.keys(classes) as Name[];
  return Object.fromEntries(names.map((name) => [name, classes[name].indexOf(values[name])])) as Record<Name, number>;
}

const UNIFORM_DEVIATION = Math.sqrt(1 / 3); // of a uniform number in [-1, 1]

/** The person's numbers in the order of IDENTITY_NUMBERS, each of mean 0 and deviation 1 over all people. */
export const identityVector = ({ numbers }: DrawnPerson): Float32Array =>
  Float32Array.from(IDENTITY_NUMBERS, (name) => numbers[name] / UNIFORM_DEVIATION);
