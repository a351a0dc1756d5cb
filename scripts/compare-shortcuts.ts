// Measures what DeepCache, T-GATE and fewer steps change in the miniature's pictures: mean absolute difference (0..255) to the pictures
// of all evaluations, and the time. Writes the pictures, a row per case, to the given file.
//
//   npx tsx scripts/compare-shortcuts.ts [sheet.png]
import "./show-help.ts";
import { writeFile } from "node:fs/promises";
import { contactSheet } from "../src/image/contact-sheet.ts";
import { decodePhoto, encodePng, type Rgb8 } from "../src/image/index.ts";
import { ALBUM_SHOWN, DEMO_GUIDANCE, DEMO_STEPS, type DemoPicture, demoPlan } from "../src/miniature/demo-plan.ts";
import { drawnPortraits } from "../src/miniature/portraits.ts";
import { type GenerateInput, PhotoMaker } from "../src/pipeline/index.ts";

const MINIATURE = "assets/miniature";
const SEED = 7;

/** Groups of options, each compared with the first of its group. */
const GROUPS: readonly (readonly Partial<GenerateInput>[])[] = [
  [
    { scheduler: "ddim" },
    ...[1, 2, 3, 5].map((deepCache) => ({ scheduler: "ddim" as const, deepCache })),
    ...[18, 12, 8, 5].map((tGate) => ({ scheduler: "ddim" as const, tGate })),
    ...[13, 9, 6].map((numInferenceSteps) => ({ scheduler: "ddim" as const, numInferenceSteps })),
  ],
  [
    { scheduler: "heun" },
    ...[2, 3].map((deepCache) => ({ scheduler: "heun" as const, deepCache })),
    ...[13, 9].map((numInferenceSteps) => ({ scheduler: "heun" as const, numInferenceSteps })),
  ],
  [
    { scheduler: "dpmpp_2m" },
    ...[2, 3].map((deepCache) => ({ scheduler: "dpmpp_2m" as const, deepCache })),
    ...[13, 9].map((numInferenceSteps) => ({ scheduler: "dpmpp_2m" as const, numInferenceSteps })),
  ],
];

const plan = demoPlan(SEED);
const pictures = plan.rows.flatMap(({ tiles }) => ("portraitsOf" in tiles ? [] : tiles)).slice(0, 12);
const portraits = await Promise.all(plan.people.map(({ seed, index }) => drawnPortraits(seed, index, ALBUM_SHOWN)));
const requestOf = ({ prompt, seed, startMergeStep, photos }: DemoPicture): GenerateInput => ({
  prompt,
  seed,
  startMergeStep,
  numInferenceSteps: DEMO_STEPS,
  guidanceScale: DEMO_GUIDANCE,
  inputIdImages: photos.flatMap((photo) => ("album" in photo ? [portraits[photo.person]!.pngs[photo.album]!] : [])),
});
const difference = (a: Rgb8, b: Rgb8): number => a.data.reduce((sum, v, i) => sum + Math.abs(v - b.data[i]!), 0) / a.data.length;
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

const rows: { label: string; tiles: { picture: Rgb8 }[] }[] = [];
console.log("| case | mean difference | largest | seconds for the evaluations of a picture |\n|---|---|---|---|");
for (const group of GROUPS) {
  await using pm = await PhotoMaker.load({ model: MINIATURE, adapter: `${MINIATURE}/photomaker-v1.safetensors`, threads: 1 });
  let reference: readonly Rgb8[] | undefined;
  for (const options of group) {
    const made: Rgb8[] = [];
    const seconds: number[] = [];
    for (const picture of pictures) {
      const { images, timings } = await pm.generate({ ...requestOf(picture), ...options });
      made.push(await decodePhoto(images[0]!.png));
      seconds.push(timings.evaluations.reduce((a, b) => a + b, 0));
    }
    reference ??= made;
    const off = made.map((each, i) => difference(each, reference![i]!));
    const label = Object.entries(options)
      .map(([name, value]) => (name === "scheduler" ? value : `${name} ${value}`))
      .join(", ");
    console.log(`| ${label} | ${mean(off).toFixed(2)} | ${Math.max(...off).toFixed(2)} | ${mean(seconds).toFixed(2)} |`);
    rows.push({ label, tiles: made.map((picture) => ({ picture })) });
  }
}
const out = process.argv[2];
if (out !== undefined)
  await writeFile(out, await encodePng(contactSheet({ title: "Shortcuts of the miniature", rows, tile: 64, scale: 2 })));
