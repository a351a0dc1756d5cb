import { floats } from "../core/array.ts";
import { bootstrap, type Figure } from "../evaluate/statistics/bootstrap.ts";
import { mean } from "../evaluate/statistics/moments.ts";
import { namedDim } from "../graph/dim.ts";
import { upsampleBicubic } from "../graph/ops/resample.ts";
import { input } from "../graph/ops/source.ts";
import { type FaceBox, faceBox, personAt, renderPicture, type Scene, sceneAt } from "../minifaces/index.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { sharpGraph, vaeGraph } from "../sessions/graphs.ts";
import { vaeEncoderGraph } from "../sessions/vae-encoder.ts";
import { openModel } from "../weights/index.ts";
import { SHARP_SIDE, SIDE } from "./configs.ts";
import { pictureBytes, pictureValues } from "./data-set.ts";

/** Measurements of the sharp decoder on real pictures, and of the VAE's pictures upsampled bicubically to the same size. */
export interface SharpFigures {
  /** Peak signal-to-noise ratio against drawn pictures of SHARP_SIDE, dB, mean over pictures; and within the face box. */
  readonly psnr: Figure;
  readonly facePsnr: Figure;
  readonly vaePsnr: Figure;
  readonly vaeFacePsnr: Figure;
  /** Squared differences of neighbouring pixels, as a share of the drawn pictures'. */
  readonly edges: number;
  readonly vaeEdges: number;
  /** The same of generated pictures, as a share of drawn ones of the same scenes. */
  readonly generatedEdges: number;
}

const PICTURES = 200;
const PER_PERSON = 4;
const AT_ONCE = 8;

/**
 * Measures the sharp decoder of a model that has one.
 * @param generated pictures of scenes, [SHARP_SIDE, SHARP_SIDE, 3], and drawn ones of the same
 */
export async function sharpFigures(
  { model, runtime, seed }: { readonly model: string; readonly runtime: Runtime; readonly seed: number },
  generated: readonly { readonly made: Uint8Array; readonly drawn: Uint8Array }[],
): Promise<SharpFigures | undefined> {
  const files = await openModel(model);
  const sharp = sharpGraph(files);
  if (sharp === undefined) return undefined;
  const batch = namedDim("batch");
  const encode = await runtime.load({ mean: vaeEncoderGraph(files.components.vae, [batch, 3, SIDE, SIDE]).encode.mean });
  const small = await runtime.load(vaeGraph(files).decode);
  const large = await runtime.load(sharp.decode);
  const enlarge = await runtime.load({ y: upsampleBicubic(input("x", [batch, 3, SIDE, SIDE]), 2) });
  const found: { sharp: Compared; vae: Compared }[] = [];
  for (let from = 0; from < PICTURES; from += AT_ONCE) {
    const scenes = Array.from({ length: Math.min(AT_ONCE, PICTURES - from) }, (_, i) => sceneOf(seed, from + i));
    const originals = await Promise.all(scenes.map(([person, scene]) => renderPicture(person, scene, SIDE)));
    const drawn = await Promise.all(scenes.map(([person, scene]) => renderPicture(person, scene, SHARP_SIDE)));
    const pixels = new Float32Array(scenes.length * 3 * SIDE * SIDE);
    for (const [i, { picture }] of originals.entries()) pictureValues({ pictures: picture.data }, 0, pixels, i * 3 * SIDE * SIDE);
    const { mean: latents } = await encode.run({ pixels: floats(pixels, scenes.length, 3, SIDE, SIDE) });
    const [sharpened, decoded] = [(await large.run({ latents })).picture, (await small.run({ latents })).picture];
    const upsampled = (await enlarge.run({ x: clipped(decoded.data as Float32Array, decoded.dims) })).y;
    for (const [i, [person, scene]] of scenes.entries()) {
      const truth = drawn[i]!.picture.data;
      const box = faceBox(person, scene);
      found.push({
        sharp: compared(pictureBytes(sharpened.data as Float32Array, i, SHARP_SIDE), truth, box),
        vae: compared(pictureBytes(upsampled.data as Float32Array, i, SHARP_SIDE), truth, box),
      });
    }
  }
  await Promise.all([encode, small, large, enlarge].map((session) => session.close()));
  const figure = (value: (one: (typeof found)[number]) => number): Figure => {
    const values = found.map(value);
    return bootstrap(values.length, (chosen) => mean(Array.from(chosen, (i) => values[i]!)), null);
  };
  const share = (which: "sharp" | "vae"): number =>
    found.reduce((sum, one) => sum + one[which].edges, 0) / found.reduce((sum, one) => sum + one[which].drawnEdges, 0);
  const sum = (values: readonly Uint8Array[]): number => values.reduce((total, bytes) => total + edgeEnergy(bytes), 0);
  return {
    psnr: figure(({ sharp }) => sharp.psnr),
    facePsnr: figure(({ sharp }) => sharp.facePsnr),
    vaePsnr: figure(({ vae }) => vae.psnr),
    vaeFacePsnr: figure(({ vae }) => vae.facePsnr),
    edges: share("sharp"),
    vaeEdges: share("vae"),
    generatedEdges: sum(generated.map(({ made }) => made)) / sum(generated.map(({ drawn }) => drawn)),
  };
}

function sceneOf(seed: number, index: number): readonly [ReturnType<typeof personAt>, Scene] {
  const person = Math.floor(index / PER_PERSON);
  return [personAt(seed, person), sceneAt(seed, person, index % PER_PERSON, "free")];
}

interface Compared {
  readonly psnr: number;
  readonly facePsnr: number;
  readonly edges: number;
  readonly drawnEdges: number;
}

function compared(made: Uint8Array, drawn: Uint8Array, { x, y, width, height }: FaceBox): Compared {
  let [all, face, inFace] = [0, 0, 0];
  for (let row = 0; row < SHARP_SIDE; row++)
    for (let column = 0; column < SHARP_SIDE; column++) {
      const [u, v] = [(column + 0.5) / SHARP_SIDE, (row + 0.5) / SHARP_SIDE];
      const at = (row * SHARP_SIDE + column) * 3;
      let squares = 0;
      for (let c = 0; c < 3; c++) squares += (made[at + c]! - drawn[at + c]!) ** 2;
      all += squares;
      if (u < x || u >= x + width || v < y || v >= y + height) continue;
      face += squares;
      inFace += 3;
    }
  const decibels = (sum: number, count: number): number => 10 * Math.log10(255 ** 2 / (sum / count));
  return {
    psnr: decibels(all, made.length),
    facePsnr: decibels(face, inFace),
    edges: edgeEnergy(made),
    drawnEdges: edgeEnergy(drawn),
  };
}

/** Sum of squared differences of neighbouring pixels, down and across, of a picture [SHARP_SIDE, SHARP_SIDE, 3]. */
export function edgeEnergy(bytes: Uint8Array): number {
  const stride = SHARP_SIDE * 3;
  let sum = 0;
  for (let row = 0; row < SHARP_SIDE; row++)
    for (let i = 0; i < stride; i++) {
      const at = row * stride + i;
      if (i + 3 < stride) sum += (bytes[at + 3]! - bytes[at]!) ** 2;
      if (row + 1 < SHARP_SIDE) sum += (bytes[at + stride]! - bytes[at]!) ** 2;
    }
  return sum;
}

/** The VAE's picture as it would be shown: cut to [-1, 1]. */
const clipped = (values: Float32Array, dims: readonly number[]) =>
  floats(
    values.map((v) => Math.min(1, Math.max(-1, v))),
    ...dims,
  );
