import {
  type DrawnPerson,
  IDENTITY_CLASSES,
  identityLabels,
  SCENE_CLASSES,
  type Scene,
  sceneLabels,
} from "../minifaces/index.ts";

type Classes = Readonly<Record<string, readonly string[]>>;

/** Categorical attributes, each one-hot, concatenated. */
export interface Attributes {
  readonly names: readonly string[];
  /** Number of values of each attribute. */
  readonly sizes: readonly number[];
  readonly width: number;
}

const attributes = (classes: Classes): Attributes => {
  const sizes = Object.values(classes).map((values) => values.length);
  return { names: Object.keys(classes), sizes, width: sizes.reduce((a, b) => a + b, 0) };
};
export const IDENTITY_ATTRIBUTES = attributes(IDENTITY_CLASSES);
export const SCENE_ATTRIBUTES = attributes(SCENE_CLASSES);

export const identityHot = (person: DrawnPerson): Float32Array => oneHot(IDENTITY_ATTRIBUTES, identityLabels(person));
export const sceneHot = (scene: Scene): Float32Array => oneHot(SCENE_ATTRIBUTES, sceneLabels(scene));

function oneHot({ names, sizes, width }: Attributes, labels: Readonly<Record<string, number>>): Float32Array {
  const out = new Float32Array(width);
  let from = 0;
  for (const [i, name] of names.entries()) {
    out[from + labels[name]!] = 1;
    from += sizes[i]!;
  }
  return out;
}

/** Index of each attribute's highest score. @param logits one row of {@link Attributes.width} */
export function predictedLabels({ names, sizes }: Attributes, logits: Float32Array): Record<string, number> {
  let from = 0;
  return Object.fromEntries(
    names.map((name, i) => {
      const part = logits.subarray(from, from + sizes[i]!);
      from += sizes[i]!;
      return [name, part.indexOf(part.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY))];
    }),
  );
}
