import { classWordAt, type DrawnPerson, personAt, sceneAt } from "../minifaces/index.ts";

/** One picture of the demo: what is asked of the model, and what stands below it. */
export interface DemoPicture {
  readonly caption: string;
  readonly prompt: string;
  /** ID images, as person and number of the album; none: the model without the adapter. */
  readonly photos: readonly { readonly person: number; readonly album: number }[];
  readonly startMergeStep: number;
  readonly seed: number;
}

export interface DemoRow {
  readonly label: string;
  /** The photos of a person that are shown themselves, or pictures to be made. */
  readonly tiles: { readonly portraitsOf: number } | readonly DemoPicture[];
}

export interface DemoPlan {
  /** People of the world's seed, none of whom training has seen. */
  readonly people: readonly { readonly seed: number; readonly index: number }[];
  readonly rows: readonly DemoRow[];
}

export const ALBUM_SHOWN = 4;
export const DEMO_STEPS = 25;
export const DEMO_GUIDANCE = 3;
/** New noise at each step mends what the small model got wrong before, such as eyes: docs/miniature.md. */
export const DEMO_SCHEDULER = "euler_a" as const;
const TRIGGER = "img";

/** `*` stands for the class word and the trigger word after it. */
const SCENES = [
  "a photo of a smiling * wearing a red shirt on the beach",
  "a photo of a * in a blue suit in the city",
  "a photo of a * with headphones in the snow",
  "a photo of a * in a purple hoodie in space",
  "a comic of a * wearing a yellow sweater in the forest",
  "a watercolor of a * in the desert",
];

/** What the demo shows of a seed's people. @param seed of the world and of the pictures */
export function demoPlan(seed: number): DemoPlan {
  const people = [0, 1, 2].map((index) => ({ seed, index }));
  const persons = people.map(({ seed, index }) => personAt(seed, index));
  const words = persons.map((person, i) => classWordAt(person, sceneAt(seed, i, 0, "album")));
  const album = (person: number, count = ALBUM_SHOWN) => Array.from({ length: count }, (_, n) => ({ person, album: n }));
  const picture = (scene: string, person: number, more: Partial<DemoPicture> & { readonly word?: string } = {}): DemoPicture => {
    const { word = words[person]!, photos = album(person), ...rest } = more;
    const text = scene.replace("*", word);
    const prompt = photos.length === 0 ? text : scene.replace("*", `${word} ${TRIGGER}`);
    return { caption: text.replace(/^an? /, ""), prompt, photos, startMergeStep: 0, seed: seed + person, ...rest };
  };
  const [first, second] = [0, 1];
  const ages = agesOf(persons[second]!);
  return {
    people,
    rows: [
      ...persons.flatMap((_, person): DemoRow[] => [
        { label: `ID images of person ${"ABC"[person]}`, tiles: { portraitsOf: person } },
        { label: "in new scenes and styles", tiles: SCENES.map((scene) => picture(scene, person)) },
      ]),
      {
        label: "A: without the adapter, and with it",
        tiles: [SCENES[0]!, SCENES[1]!, SCENES[3]!].flatMap((scene) => [
          picture(scene, first, { photos: [], caption: "without" }),
          picture(scene, first, { caption: "with" }),
        ]),
      },
      {
        label: "B: one, two, four ID images",
        tiles: [SCENES[1]!, SCENES[2]!].flatMap((scene) =>
          [1, 2, 4].map((n) => picture(scene, second, { photos: album(second, n), caption: `${n} ID image${n > 1 ? "s" : ""}` })),
        ),
      },
      {
        label: "A and B mixed by their share of the ID images",
        tiles: [4, 3, 2, 1, 0].map((n) =>
          picture(SCENES[1]!, first, {
            photos: [...album(first, n), ...album(second, 4 - n)],
            caption: `${n} of A, ${4 - n} of B`,
          }),
        ),
      },
      {
        label: "B: another age by the class word",
        tiles: ages.map((word) => picture(SCENES[0]!, second, { word, caption: word })),
      },
      {
        label: "C: the person merged in after step",
        tiles: [0, 2, 5, 10, 15, DEMO_STEPS].map((step) =>
          picture(SCENES[0]!, 2, { startMergeStep: step, caption: step === DEMO_STEPS ? "never" : `${step} of ${DEMO_STEPS}` }),
        ),
      },
    ],
  };
}

const agesOf = ({ gender }: DrawnPerson): readonly string[] =>
  gender === "male" ? ["boy", "man", "old man"] : ["girl", "woman", "old woman"];
