// Finds and compares the faces of photos with the networks that are shipped: what is found, how far people lie apart, time and memory.
//
//   npx tsx bench/faces/run.ts FOLDER [THREADS]
//
// FOLDER has a folder for each person, with photos in which the largest face is theirs.
import "../../scripts/show-help.ts";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Detection } from "../../src/faces/face.ts";
import { sideOf } from "../../src/faces/geometry.ts";
import { openFaceNetworks } from "../../src/faces/networks/open-networks.node.ts";
import { SAME_PERSON } from "../../src/faces/networks/recogniser.ts";
import { decodePhoto } from "../../src/image/decode-photo.ts";
import type { Rgb8 } from "../../src/image/rgb8.ts";
import { shrink } from "../../src/image/shrink.ts";

const [, , folder, threads] = process.argv;
const networks = openFaceNetworks(threads === undefined ? {} : { threads: Number(threads) });

interface Seen {
  readonly person: string;
  readonly photo: string;
  readonly picture: Rgb8;
  readonly face: Detection;
  readonly vector: Float32Array;
}

const photos = readdirSync(folder!, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
  .flatMap(({ name }) => readdirSync(join(folder!, name)).map((photo) => ({ person: name, photo })));
const seen: Seen[] = [];
const start = performance.now();
for (const { person, photo } of photos) {
  const picture = await decodePhoto(join(folder!, person, photo));
  const faces = await networks.detect(picture);
  const text = [];
  for (const face of faces)
    text.push(
      `${Math.round(sideOf(face.box))} px ${face.score.toFixed(2)} (${(await networks.mesh(picture, face)).isFace.toFixed(0)})`,
    );
  console.log(
    `${person}/${photo} ${picture.width}x${picture.height}: ${faces.length} face${faces.length === 1 ? "" : "s"}: ${text.join(", ")}`,
  );
  const face = faces.toSorted((a, b) => sideOf(b.box) - sideOf(a.box))[0];
  if (face !== undefined) seen.push({ person, photo, picture, face, vector: await networks.embed(picture, face.points) });
}
console.log(`${photos.length} photos in ${((performance.now() - start) / 1000).toFixed(2)} s, loading included`);

const pairs = seen.flatMap((a, i) =>
  seen.slice(i + 1).map((b) => ({
    cosine: a.vector.reduce((sum, x, k) => sum + x * b.vector[k]!, 0),
    same: a.person === b.person,
    names: `${a.photo}, ${b.photo}`,
  })),
);
for (const same of [true, false]) {
  const some = pairs.filter((pair) => pair.same === same).sort((a, b) => (same ? a.cosine - b.cosine : b.cosine - a.cosine));
  if (some.length === 0) continue;
  const wrong = some.filter(({ cosine }) => cosine >= SAME_PERSON !== same).length;
  console.log(
    `${some.length} pairs of ${same ? "one person" : "two people"}: ${same ? "worst" : "closest"} ${some[0]!.cosine.toFixed(3)} (${some[0]!.names}), median ${some[some.length >> 1]!.cosine.toFixed(3)}, ${wrong} wrong at ${SAME_PERSON}`,
  );
}

/** Least time of ten, in milliseconds. */
async function best(run: () => Promise<unknown>): Promise<string> {
  let least = Infinity;
  for (let i = 0; i < 10; i++) {
    const begin = performance.now();
    await run();
    least = Math.min(least, performance.now() - begin);
  }
  return least.toFixed(1);
}
const { picture, face } = seen[0]!;
const small = await shrink(picture, 640);
console.log(`detect ${await best(() => networks.detect(small))} ms at ${small.width}x${small.height}`);
console.log(
  `mesh ${await best(() => networks.mesh(picture, face))} ms, embed ${await best(() => networks.embed(picture, face.points))} ms`,
);
console.log(`mask ${await best(() => networks.personMask(small))} ms`);

for (const [name, use] of [
  ["detector", () => networks.detect(small)],
  ["all four", () => Promise.all([networks.detect(small), networks.embed(picture, face.points), networks.personMask(small)])],
] as const) {
  await networks.unload();
  const begin = performance.now();
  await use();
  const first = performance.now() - begin;
  const again = performance.now();
  await use();
  console.log(`loading ${name}, its process included: ${(first - (performance.now() - again)).toFixed(0)} ms`);
}
console.log(`peak memory of the process: ${(networks.peakMemory() / 1e6).toFixed(0)} MB`);

await networks.unload();
const large = await decodePhoto(await enlarged(picture));
const whole = performance.now();
const found = (await networks.detect(large))[0]!;
await networks.mesh(large, found);
await networks.embed(large, found.points);
const looked = performance.now();
await networks.personMask(await shrink(large, 1024));
console.log(
  `${large.width}x${large.height}: ${(performance.now() - whole).toFixed(0)} ms with loading, of which the mask ${(performance.now() - looked).toFixed(0)} ms`,
);
await networks.unload();

/** A JPEG of 12 megapixels. */
async function enlarged({ width, height, data }: Rgb8): Promise<Uint8Array> {
  const { default: sharp } = await import("sharp");
  const scale = Math.sqrt(12e6 / (width * height));
  return sharp(data, { raw: { width, height, channels: 3 } })
    .resize(Math.round(width * scale), Math.round(height * scale), { fit: "fill" })
    .jpeg()
    .toBuffer();
}
