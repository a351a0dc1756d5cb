import { UserError } from "../core/errors.ts";
import { seededRandom } from "../core/random/seeded-random.ts";
import { caption, type DrawnPerson, personAt, type Scene, type ScenePart, sceneAt } from "../minifaces/index.ts";
import { ALBUM, TRAINING_SEED } from "./data-set.ts";

/** One picture to generate. */
export interface TestCase {
  /** Index of the person. */
  readonly person: number;
  /** Scene that a real picture would show. */
  readonly scene: Scene;
  /** The scene's caption, without a description of the person. */
  readonly prompt: string;
  /** Parts of the scene that the prompt mentions. */
  readonly says: ReadonlySet<ScenePart>;
  readonly seed: number;
  /** Whether it is a photo, and so judged for likeness. */
  readonly photo: boolean;
}

/** People not seen in training, and the pictures to generate of them. */
export interface TestSet {
  readonly seed: number;
  readonly persons: readonly DrawnPerson[];
  /** ALBUM plain photos per person. */
  readonly albums: readonly (readonly Scene[])[];
  /** Some photos per person, and after all of these one picture per person in another style. */
  readonly cases: readonly TestCase[];
}

export const MOST_PICTURES = 64;

/** @throws UserError evaluate/training-seed */
export function testSet({ seed, people, pictures }: { seed: number; people: number; pictures: number }): TestSet {
  if (seed === TRAINING_SEED)
    throw new UserError(
      "evaluate/training-seed",
      `The people of seed ${seed} were seen in training.`,
      "Choose another seed, such as --seed 2.",
    );
  const persons = Array.from({ length: people }, (_, i) => personAt(seed, i));
  const some = (photo: boolean, count: number): TestCase[] =>
    persons.flatMap((person, i) =>
      suitable(person, seed, i, photo, count).map((picture, n) => {
        const scene = sceneAt(seed, i, picture, "free");
        const { text: prompt, says } = caption(person, scene, seededRandom(seed, i, picture), { identity: 0 });
        return { person: i, scene, prompt, says, photo, seed: 1000 + i * (MOST_PICTURES + 1) + (photo ? n : MOST_PICTURES) };
      }),
    );
  const albums = persons.map((_, i) => Array.from({ length: ALBUM }, (_, n) => sceneAt(seed, i, n, "album")));
  return { seed, persons, albums, cases: [...some(true, pictures), ...some(false, 1)] };
}

/** Indices of the person's first free scenes at their own age that are, or are not, photos. */
function suitable(person: DrawnPerson, seed: number, index: number, photo: boolean, count: number): number[] {
  const found: number[] = [];
  for (let picture = 0; found.length < count; picture++) {
    const { age, style } = sceneAt(seed, index, picture, "free");
    if (age === person.ageGroup && (style === "photo") === photo) found.push(picture);
  }
  return found;
}
