// Looks at pictures of drawn people with the miniature's networks, and measures the likeness that it gives for photos as people have them.
//
//   npx tsx bench/faces/drawn.ts found [PEOPLE] [own]
//   npx tsx bench/faces/drawn.ts likeness [PEOPLE] [STEPS] [PICTURES] [four|two]
//
// found: how many faces are found, and what else, by the networks for real photos at two thresholds, by them in enlarged pictures, and by the
// miniature's own, or by these alone; and how far its vectors hold people apart. likeness: faceSimShare from portraits, from wide photos with and without cropping, and from
// a group photo; 25 steps and 4 photos a person by default; of four ID images, of two, or both. Both take people of seed 2, whom the miniature has not seen.
import "../../scripts/show-help.ts";
import { asset } from "../../src/cli/asset.ts";
import { bootstrap } from "../../src/evaluate/statistics/bootstrap.ts";
import type { Detection } from "../../src/faces/face.ts";
import { type Detector, findFaces } from "../../src/faces/find-faces.ts";
import { faceNetworks } from "../../src/faces/networks/networks.ts";
import { openFacesOf } from "../../src/faces/networks/open-drawn.node.ts";
import { shippedFaceWeights } from "../../src/faces/networks/open-networks.node.ts";
import { cosine } from "../../src/faces/people.ts";
import { resize } from "../../src/image/resize.ts";
import type { Rgb8 } from "../../src/image/rgb8.ts";
import { PhotoMaker } from "../../src/index.ts";
import { openBenchmark } from "../../src/miniature/benchmark.ts";
import {
  asPngs,
  type DrawnPhoto,
  groupPhoto,
  type IdPictures,
  idPictures,
  isOn,
  portraitOf,
  portraitPhotos,
  widePhotos,
} from "../../src/miniature/drawn-photos.ts";
import { openRuntime } from "../../src/sessions/runtimes.node.ts";
import { openTensors } from "../../src/weights/index.ts";

const [, , what, count = "100", steps = "25", pictures = "4", images = ""] = process.argv;
const model = asset("miniature");
const people = Number(count);
const SEED = 2;
const runtime = openRuntime({ threads: 1 });
const tools = await openFacesOf(runtime, model);
if (tools === undefined) throw new TypeError(`${model} has no networks for drawn faces`);
const { networks, same } = tools;

const everyone = Array.from({ length: people }, (_, i) => i);
const share = (part: number, whole: number): string => `${part} of ${whole}`;

async function found(): Promise<void> {
  const sets: Record<string, (index: number) => Promise<DrawnPhoto>> = {
    "portrait, 256 pixels": (i) => portraitOf(SEED, i),
    "small in a wide photo, 512": async (i) => (await widePhotos(SEED, i, 1))[0]!,
    "group of three, 512": (i) => groupPhoto(SEED, i),
  };
  const real = (threshold: number): Detector => faceNetworks(runtime, shippedFaceWeights, { threshold });
  const ways: Record<string, { networks: Detector; enlarged?: number; alone?: boolean }> = {
    "real photos', 0.6": { networks: real(0.6), alone: true },
    "real photos', 0.6 and FaceMesh": { networks: real(0.6) },
    "real photos', 0.3 and FaceMesh": { networks: real(0.3) },
    "real photos', 0.3 and FaceMesh, enlarged twice": { networks: real(0.3), enlarged: 2 },
    "the miniature's own": { networks },
  };
  for (const [set, make] of Object.entries(sets)) {
    const photos = await Promise.all(everyone.map(make));
    for (const [way, how] of Object.entries(ways)) {
      if (steps === "own" && how.networks !== networks) continue;
      let [hit, all, other, right] = [0, 0, 0, 0];
      for (const { picture, faces } of photos) {
        const scale = how.enlarged ?? 1;
        const seen = await detections(scale === 1 ? picture : enlarged(picture, scale), how.networks, how.alone);
        const boxes = seen.map(({ box: { left, top, right, bottom } }) => ({
          left: left / scale,
          top: top / scale,
          right: right / scale,
          bottom: bottom / scale,
        }));
        const hits = faces.filter((face) => boxes.some((box) => isOn(box, face))).length;
        const others = boxes.filter((box) => !faces.some((face) => isOn(box, face))).length;
        hit += hits;
        all += faces.length;
        other += others;
        right += Number(hits === faces.length && boxes.length === hits);
      }
      console.log(
        `${set} | ${way}: ${share(hit, all)} faces, ${other} other things, ${share(right, photos.length)} pictures without an error`,
      );
    }
  }
  await vectors();
}

/** Cosines of the faces of one person, and of people of one photo, at the places where they were drawn. */
async function vectors(): Promise<void> {
  const [alike, apart]: [number[], number[]] = [[], []];
  for (const i of everyone) {
    const [portrait, [wide], group] = [await portraitOf(SEED, i), await widePhotos(SEED, i, 1), await groupPhoto(SEED, i)];
    const known = await networks.embed(portrait.picture, portrait.faces[0]!.points);
    alike.push(cosine(known, await networks.embed(wide!.picture, wide!.faces[0]!.points)));
    for (const [n, { points }] of group.faces.entries())
      (n === 0 ? alike : apart).push(cosine(known, await networks.embed(group.picture, points)));
  }
  let right = 0;
  for (const i of everyone) {
    const { picture, faces } = await groupPhoto(SEED, i);
    const { chosen } = await idPictures([...(await portraitPhotos(SEED, i, 1)), picture], tools!);
    right += Number(chosen[1] !== undefined && isOn(chosen[1], faces[0]!));
  }
  console.log(`a portrait and a group photo of three: ${share(right, people)} right people chosen`);
  const at = (values: number[], q: number): string =>
    values.sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(q * values.length))]!.toFixed(3);
  console.log(`one person's faces: lowest ${at(alike, 0)}, 2 % ${at(alike, 0.02)}, median ${at(alike, 0.5)}`);
  console.log(`two people's: highest ${at(apart, 1)}, 98 % ${at(apart, 0.98)}, median ${at(apart, 0.5)}`);
  const wrong = [alike.filter((v) => v < same).length, apart.filter((v) => v >= same).length] as const;
  console.log(
    `at ${same}: ${share(wrong[0], alike.length)} of one person are parted, ${share(wrong[1], apart.length)} of two are joined`,
  );
}

const enlarged = (picture: Rgb8, by: number): Rgb8 => resize(picture, picture.width * by, picture.height * by, "bicubic");

/** Faces, as they are looked for in photos; or the detector's alone. */
const detections = async (picture: Rgb8, from: Detector, alone = false): Promise<readonly Detection[]> =>
  alone ? from.detect(picture) : (await findFaces(picture, from)).faces;

async function likeness(): Promise<void> {
  const adapter = `${model}/photomaker-v1.safetensors`;
  await using withAdapter = await PhotoMaker.load({ model, adapter, precision: "f32" });
  await using without = await PhotoMaker.load({ model, precision: "f32" });
  const { tensors: judge } = await openTensors(asset("judge/weights.safetensors"));
  const benchmark = await openBenchmark(
    { judge, runtime, people, seed: SEED, pictures: Number(pictures), steps: Number(steps), guidanceScale: 3 },
    without,
  );
  const wide = await Promise.all(everyone.map((i) => widePhotos(SEED, i, 4)));
  const groups = await Promise.all(everyone.map((i) => groupPhoto(SEED, i)));
  const whole = (photos: readonly DrawnPhoto[]): Rgb8[] => photos.map(({ picture }) => picture);
  const pair = async (person: number): Promise<Rgb8[]> => [...(await portraitPhotos(SEED, person, 1)), groups[person]!.picture];
  const uses: Record<string, (person: number) => Promise<Pick<IdPictures, "pictures">>> = {
    "four portraits": async (i) => ({ pictures: await portraitPhotos(SEED, i, 4) }),
    "four wide photos, auto": async (i) => idPictures(whole(wide[i]!), tools!),
    "four wide photos, off": async (i) => ({ pictures: whole(wide[i]!) }),
    "four portraits, noise": async (i) => idPictures(await portraitPhotos(SEED, i, 4), tools!, { background: "noise" }),
    "four wide photos, auto, noise": async (i) => idPictures(whole(wide[i]!), tools!, { background: "noise" }),
    "two portraits": async (i) => ({ pictures: await portraitPhotos(SEED, i, 2) }),
    "a portrait and a group photo, auto": async (i) => idPictures(await pair(i), tools!),
    "a portrait and a group photo, off": async (i) => ({ pictures: await pair(i) }),
  };
  const reference: { use?: Awaited<ReturnType<typeof benchmark.measure>> } = {};
  for (const [name, make] of Object.entries(uses)) {
    if (images !== "" && name.startsWith("four") !== (images === "four")) continue;
    const measured = await benchmark.measure(withAdapter, {
      ...{ idImages: 4, startMergeStep: 0 },
      images: async (person: number) => asPngs((await make(person)).pictures),
    });
    if (name.endsWith("portraits")) reference.use = measured; // with as many ID images
    const [ours, theirs] = [measured, reference.use!].map(({ statistics }) => statistics.faceSimShare.ours);
    const apart = bootstrap(people, (chosen) => ours!(chosen) - theirs!(chosen), null);
    const { faceSimShare: s, textLoss } = measured.figures;
    console.log(
      `${name}: faceSimShare ${s.value.toFixed(3)} ± ${s.error.toFixed(3)}; against portraits ${apart.value.toFixed(3)} ± ${apart.error.toFixed(3)}; text loss ${textLoss.value.toFixed(1)}`,
    );
  }
}

try {
  if (what === "found") await found();
  else if (what === "likeness") await likeness();
  else throw new TypeError("say what to measure: found or likeness");
} finally {
  await runtime.close();
}
