import { floats } from "../core/array.ts";
import { bootstrap, type Figure } from "../evaluate/statistics/bootstrap.ts";
import { column, everyone, meanOver } from "../evaluate/statistics/column.ts";
import { namedDim } from "../graph/dim.ts";
import { type FaceBox, faceBox, personAt, sceneAt } from "../minifaces/index.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { autoencoderGraph } from "../sessions/vae-encoder.ts";
import { openModel } from "../weights/index.ts";
import { type Benchmark, realPictures } from "./benchmark.ts";
import { SIDE } from "./configs.ts";
import { pictureBytes, pictureValues } from "./data-set.ts";
import { dot } from "./score.ts";

export interface AutoencoderFigures {
  /** Peak signal-to-noise ratio of real pictures of all styles after the autoencoder, dB; and within the face box. */
  readonly vaePsnr: Figure;
  readonly faceVaePsnr: Figure;
  /** Mean cosine between real photos after the autoencoder and the person's album: an upper bound for any adapter. */
  readonly reconstructionSim: Figure;
}

/** Free pictures per person whose error is measured. */
const PICTURES = 4;
const AT_ONCE = 16;

export async function autoencoderFigures(
  { model, runtime }: { readonly model: string; readonly runtime: Runtime },
  { set, real, look, albums }: Benchmark,
): Promise<AutoencoderFigures> {
  const people = set.persons.length;
  const rebuild = await openAutoencoder(model, runtime);
  const wanted = set.persons.flatMap((_, i) => Array.from({ length: PICTURES }, (_, n) => sceneAt(set.seed, i, n, "free")));
  const personOf = (index: number): number => Math.floor(index / PICTURES);
  const originals = await realPictures(wanted.map((scene, i) => [personAt(set.seed, personOf(i)), scene]));
  const rebuilt = await rebuild.run(originals);
  const psnr = (box: (index: number) => FaceBox): Figure => {
    const errors = column(
      people,
      originals,
      (_, i) => personOf(i),
      (picture, i) => meanSquare(picture, rebuilt[i]!, box(i)),
    );
    return bootstrap(people, (chosen) => 10 * Math.log10(255 ** 2 / meanOver(errors, chosen)), null);
  };
  const photos = set.cases.filter(({ photo }) => photo);
  const realPhotos = real.filter((_, i) => set.cases[i]!.photo);
  const [before, again] = [await look(realPhotos), await look(await rebuild.run(realPhotos))];
  await rebuild.close();
  const likeness = (of: typeof again) =>
    column(
      people,
      photos,
      ({ person }) => person,
      ({ person }, i) => dot(of[i]!.embedding, albums[person]!),
    );
  const [sims, best] = [likeness(again), likeness(before)];
  return {
    vaePsnr: psnr(() => ({ x: 0, y: 0, width: 1, height: 1 })),
    faceVaePsnr: psnr((i) => faceBox(set.persons[personOf(i)]!, wanted[i]!)),
    reconstructionSim: bootstrap(people, (chosen) => meanOver(sims, chosen), meanOver(best, everyone(people))),
  };
}

/** Opens a model's autoencoder, with sizes from its own files, for pictures [SIDE, SIDE, 3]. */
async function openAutoencoder(model: string, runtime: Runtime) {
  const { vae } = (await openModel(model)).components;
  const session = await runtime.load(autoencoderGraph(vae, [namedDim("batch"), 3, SIDE, SIDE]));
  return {
    close: () => session.close(),
    async run(pictures: readonly Uint8Array[]): Promise<Uint8Array[]> {
      const out: Uint8Array[] = [];
      for (let from = 0; from < pictures.length; from += AT_ONCE) {
        const some = pictures.slice(from, from + AT_ONCE);
        const values = new Float32Array(some.length * 3 * SIDE * SIDE);
        for (const [i, picture] of some.entries()) pictureValues({ pictures: picture }, 0, values, i * 3 * SIDE * SIDE);
        const { rebuilt } = await session.run({ pixels: floats(values, some.length, 3, SIDE, SIDE) });
        for (const i of some.keys()) out.push(pictureBytes(rebuilt.data as Float32Array, i));
      }
      return out;
    },
  };
}

/** Mean squared difference over the pixels whose centres lie in the box. */
function meanSquare(a: Uint8Array, b: Uint8Array, { x, y, width, height }: FaceBox): number | undefined {
  let [sum, count] = [0, 0];
  const inside = (at: number, from: number, length: number): boolean => at >= from && at < from + length;
  for (let row = 0; row < SIDE; row++) {
    if (!inside((row + 0.5) / SIDE, y, height)) continue;
    for (let column = 0; column < SIDE; column++) {
      if (!inside((column + 0.5) / SIDE, x, width)) continue;
      for (let c = 0; c < 3; c++) sum += (a[(row * SIDE + column) * 3 + c]! - b[(row * SIDE + column) * 3 + c]!) ** 2;
      count += 3;
    }
  }
  return count === 0 ? undefined : sum / count;
}
