import type { FloatArray } from "../../core/array.ts";
import { messageOf, UserError } from "../../core/errors.ts";
import type { Notice } from "../../core/notice.ts";
import type { Rgb8 } from "../../image/rgb8.ts";
import { ARCFACE_SIDE } from "../../models/faces/arcface.ts";
import type { Runtime, Session } from "../../runtime/runtime.ts";
import { openRuntime } from "../../sessions/runtimes.node.ts";
import { alignFace } from "../align.ts";
import type { Detection, FivePoints } from "../face.ts";
import { networkPixels } from "../networks/network-pixels.ts";
import { SCRFD_STRIDES, scrfdFaces } from "../networks/scrfd-faces.ts";
import { type FoundNetwork, findNetworks } from "./find-networks.node.ts";
import { fitted } from "./fit.ts";
import type { PackNetwork } from "./pack-networks.ts";

/** Detector and recogniser of a pack that the user has given, such as InsightFace's antelopev2, with which PhotoMaker V2 was trained. */
export interface FacePack {
  /** Numbers in a vector; undefined until the first one where the file does not say. */
  readonly width: number | undefined;
  /** What is to be said once: the terms of the packs. */
  readonly notice: Notice;
  /** Faces of a picture, best first. */
  detect(picture: Rgb8, signal?: AbortSignal): Promise<readonly Detection[]>;
  /** The recogniser's vector of a face, as it comes, not of unit length: what PhotoMaker V2 takes. */
  embed(picture: Rgb8, points: FivePoints, signal?: AbortSignal): Promise<Float32Array>;
  /** Ends the process of the two networks; they load again when needed. */
  unload(): Promise<void>;
}

/** As InsightFace's FaceAnalysis has them. */
const LIMITS = { threshold: 0.5, overlap: 0.4 };
/** Sides of the picture that the detector sees, in pixels: the next one is tried when no face is found, as PhotoMaker does. */
const SIDES = [640, 576, 512, 448, 384, 320, 256] as const;

/**
 * Opens a pack: its files are checked, and loaded when first needed, in a process of their own.
 *
 * @param path a folder or a zip
 * @throws UserError those of {@link findNetworks}; face-pack/failed if a network cannot be loaded or run, face-pack/shapes if it gives other sizes
 * @see TencentARC/PhotoMaker 060b4fc photomaker/insightface_package.py analyze_faces
 */
export async function openFacePack(path: string, how: { readonly threads?: number } = {}): Promise<FacePack> {
  const { detector, recogniser } = await findNetworks(path);
  let runtime: Runtime | undefined;
  const sessions = new Map<object, Promise<Session>>();
  let width = recogniser.network.width;

  async function load(found: FoundNetwork<PackNetwork>, outputs: readonly string[]): Promise<Session> {
    try {
      runtime ??= openRuntime(how);
      return await runtime.loadOnnx(await found.model(), outputs);
    } catch (error) {
      throw failed(found.file, "loaded", error);
    }
  }

  async function run(
    found: FoundNetwork<PackNetwork>,
    x: FloatArray,
    input: string,
    outputs: readonly string[],
    signal?: AbortSignal,
  ): Promise<Readonly<Record<string, FloatArray>>> {
    signal?.throwIfAborted();
    const loading = sessions.get(found) ?? load(found, outputs);
    sessions.set(found, loading);
    try {
      const session = await loading;
      signal?.throwIfAborted();
      return (await session.run({ [input]: x }).catch((error: unknown) => {
        throw failed(found.file, "run", error);
      })) as Record<string, FloatArray>;
    } catch (error) {
      if (sessions.get(found) === loading && !signal?.aborted) sessions.delete(found);
      throw error;
    }
  }

  async function detectAt(picture: Rgb8, wide: number, high: number, signal?: AbortSignal): Promise<Detection[]> {
    const { network, file } = detector;
    const { input, scale } = fitted(picture, wide, high);
    const found = await run(detector, networkPixels(input, { mean: 127.5, spread: 128 }), network.input, network.outputs, signal);
    const levels = SCRFD_STRIDES.map((stride, level) => {
      const places = (wide / stride) * (high / stride) * 2;
      const [score, bbox, kps] = [1, 4, 10].map((numbers, part) => {
        const { data } = found[network.outputs[part * 3 + level]!]!;
        if (data.length !== places * numbers)
          throw otherShapes(
            file,
            `${network.outputs[part * 3 + level]} has ${data.length} numbers where a detector with two boxes for each place has ${places * numbers}`,
          );
        return data;
      }) as [Float32Array, Float32Array, Float32Array];
      return { score, bbox, kps };
    });
    return scrfdFaces(levels, wide, scale, LIMITS);
  }

  return {
    get width() {
      return width;
    },
    notice: {
      code: "face-pack/licence",
      message: `The networks in ${path} look for faces. InsightFace gives its packs for non-commercial research only; what they compute falls under these terms.`,
    },
    async detect(picture, signal) {
      const { size } = detector.network;
      if (size !== undefined) return detectAt(picture, size.width, size.height, signal);
      for (const side of SIDES) {
        const faces = await detectAt(picture, side, side, signal);
        if (faces.length > 0) return faces;
      }
      return [];
    },
    async embed(picture, points, signal) {
      const { network, file } = recogniser;
      const crop = alignFace(picture, points, ARCFACE_SIDE);
      const pixels = networkPixels(crop, network.normalises ? {} : { mean: 127.5, spread: 127.5 });
      const found = await run(recogniser, pixels, network.input, [network.output], signal);
      const { data, dims } = found[network.output]!;
      if (data.length !== (width ?? data.length) || dims.length !== 2)
        throw otherShapes(file, `${network.output} is [${dims}], which is not one vector of ${width ?? "some"} numbers`);
      width = data.length;
      return data;
    },
    async unload() {
      const ending = runtime;
      runtime = undefined;
      sessions.clear();
      await ending?.close();
    },
  };
}

const otherShapes = (file: string, what: string): UserError =>
  new UserError(
    "face-pack/shapes",
    `${file} does not give what it should: ${what}.`,
    "Give one of InsightFace's packs, such as antelopev2 or buffalo_l, as it was published.",
  );

const failed = (file: string, what: string, error: unknown): unknown =>
  error instanceof UserError
    ? error
    : new UserError(
        "face-pack/failed",
        `${file} cannot be ${what}: ${messageOf(error)}`,
        "The file is damaged, or a newer ONNX than this program knows: download the pack again, or give another.",
        { cause: error },
      );
