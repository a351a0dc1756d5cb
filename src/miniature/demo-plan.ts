import { classWordAt, type DrawnPerson, personAt, sceneAt } from "../minifaces/index.ts";

/**
 * A person's portrait, by an index into their album; or a photo that is whole, or of which the person's face is cut out. Whose face that is, their
 * first portrait tells.
 */
export type DemoPhoto =
  | { readonly person: number; readonly album: number }
  | { readonly person: number; readonly of: DemoPhotoKind; readonly crop: "auto" | "off" };

/** A wide photo in which the person is small; a photo of the person with two others. */
export type DemoPhotoKind = "wide" | "group";

/** A picture that the model makes for the demo, and its caption. */
export interface DemoPicture {
  readonly caption: string;
  readonly prompt: string;
  /** ID images; none: the model without the adapter. */
  readonly photos: readonly DemoPhoto[];
  readonly startMergeStep: number;
  readonly seed: number;
}

export interface DemoRow {
  readonly label: string;
  /** Photos that are shown before the pictures. */
  readonly shown?: readonly { readonly photo: DemoPhoto; readonly caption: string }[];
  /** A person's ID images as they are drawn, or pictures to generate. */
  readonly tiles: { readonly portraitsOf: number } | readonly DemoPicture[];
}

export interface DemoPlan {
  /** People of one seed, none of whom was seen in training. */
  readonly people: readonly { readonly seed: number; readonly index: number }[];
  readonly rows: readonly DemoRow[];
}

export const ALBUM_SHOWN = 4;
export const DEMO_STEPS = 25;
export const DEMO_GUIDANCE = 3;
/** Fresh noise at each step repairs earlier mistakes of the small model, such as eyes: docs/miniature.md. */
export const DEMO_SCHEDULER = "euler_a" as const;
const TRIGGER = "img";

/** `*` stands for the class word followed by the trigger word. */
const SCENES = [
  "a photo of a smiling * wearing a red shirt on the beach",
  "a photo of a * in a blue suit in the city",
  "a photo of a * with headphones in the snow",
  "a photo of a * in a purple hoodie in space",
  "a comic of a * wearing a yellow sweater in the forest",
  "a watercolor of a * in the desert",
];

/**
 * Rows of the demo.
 * @param seed chooses the people and the noise
 * @param faces whether faces are found in photos of drawn people
 */
export function demoPlan(seed: number, { faces = true }: { readonly faces?: boolean } = {}): DemoPlan {
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
  const [first, second, third] = [0, 1, 2];
  const ages = agesOf(persons[second]!);
  const photo = (person: number, of: DemoPhotoKind, crop: "auto" | "off"): DemoPhoto => ({ person, of, crop });
  const from = (person: number, photos: readonly DemoPhoto[], scenes: readonly number[], caption: string): DemoPicture[] =>
    scenes.map((scene) => picture(SCENES[scene]!, person, { photos, caption }));
  return {
    people,
    rows: [
      ...persons.flatMap((_, person): DemoRow[] => [
        { label: `Person ${"ABC"[person]}: ID images, drawn`, tiles: { portraitsOf: person } },
        { label: `${"ABC"[person]}: generated from these four`, tiles: SCENES.map((scene) => picture(scene, person)) },
      ]),
      {
        label: "A: generated without and with the adapter",
        tiles: [SCENES[0]!, SCENES[1]!, SCENES[3]!].flatMap((scene) => [
          picture(scene, first, { photos: [], caption: "without" }),
          picture(scene, first, { caption: "with" }),
        ]),
      },
      {
        label: `Generated from ID images of A and B, as a ${words[first]}`,
        tiles: [4, 3, 2, 1, 0].map((n) =>
          picture(SCENES[1]!, first, {
            photos: [...album(first, n), ...album(second, 4 - n)],
            caption: `${n} of A, ${4 - n} of B`,
          }),
        ),
      },
      {
        label: "B: generated with class words for other ages",
        tiles: ages.map((word) => picture(SCENES[0]!, second, { word, caption: word })),
      },
      {
        label: "C: generated with the person merged in after step",
        tiles: [0, 2, 5, 10, 15, DEMO_STEPS].map((step) =>
          picture(SCENES[0]!, third, {
            startMergeStep: step,
            caption: step === DEMO_STEPS ? "never" : `${step} of ${DEMO_STEPS}`,
          }),
        ),
      },
      ...(faces
        ? [
            {
              label: "B small in a wide photo; generated from it",
              shown: [{ photo: photo(second, "wide", "off"), caption: "the photo" }],
              tiles: [
                ...from(second, [photo(second, "wide", "off")], [0, 1], "photo taken whole"),
                ...from(second, [photo(second, "wide", "auto")], [0, 1, 3], "face found and cut out"),
              ],
            },
            {
              label: "C among others, known from a portrait; generated from the group photo",
              shown: [
                { photo: { person: third, album: 0 }, caption: "the portrait" },
                { photo: photo(third, "group", "off"), caption: "the photo" },
              ],
              tiles: [
                ...from(third, [photo(third, "group", "off")], [0, 1], "photo taken whole"),
                ...from(third, [photo(third, "group", "auto")], [0, 1], "C found and cut out"),
              ],
            },
          ]
        : []),
    ],
  };
}

const agesOf = ({ gender }: DrawnPerson): readonly string[] =>
  gender === "male" ? ["boy", "man", "old man"] : ["girl", "woman", "old woman"];
