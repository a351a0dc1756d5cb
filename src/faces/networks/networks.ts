import type { FloatArray } from "../../core/array.ts";
import { Checkpoint } from "../../graph/checkpoint.ts";
import { mulDims, namedDim } from "../../graph/dim.ts";
import { input } from "../../graph/ops/source.ts";
import type { Tensor } from "../../graph/tensor.ts";
import { Weights } from "../../graph/weights.ts";
import { resize } from "../../image/resize.ts";
import type { Rgb8 } from "../../image/rgb8.ts";
import { shrink } from "../../image/shrink.ts";
import { DLIB_SIDE, dlibResnet } from "../../models/faces/dlib-resnet.ts";
import { FACE_MESH_SIDE, faceMesh } from "../../models/faces/face-mesh.ts";
import { SELFIE_SIDE, selfie } from "../../models/faces/selfie.ts";
import { type YunetOutput, yunet } from "../../models/faces/yunet.ts";
import type { Feeds, Runtime } from "../../runtime/runtime.ts";
import { LazySession, type LoadObserver } from "../../sessions/lazy-session.ts";
import type { Tensors } from "../../weights/tensor-entry.ts";
import type { Detection, FaceMesh, FaceNetworks, FivePoints } from "../face.ts";
import { placed } from "../geometry.ts";
import { chipTransform } from "./chip.ts";
import { type MeshView, meshOf, meshTransform, turnedView, viewOfFace, viewOfPoints } from "./mesh.ts";
import { networkPixels } from "./network-pixels.ts";
import { unitVector } from "./recogniser.ts";
import { stretch } from "./stretch.ts";
import { takeSquare } from "./take.ts";
import { yunetFaces } from "./yunet-faces.ts";

export const FACE_NETWORK_NAMES = ["yunet", "face-mesh", "dlib-resnet", "selfie"] as const;
export type FaceNetworkName = (typeof FACE_NETWORK_NAMES)[number];

/** Longer side of the picture that the detector sees, in pixels: what is larger is shrunk to it. */
const DETECTOR_SIDE = 640;
const MULTIPLE = 32; // pixels, the coarsest stride of the detector
/** Faces in photos score 0.85 and more; what scores less than 0.8 is worth a second look, at FaceMesh's flag. */
const LIMITS = { threshold: 0.6, overlap: 0.3 };

/** Opens the weights of a network. @throws UserError if they cannot be read */
export type OpenFaceWeights = (name: FaceNetworkName) => Promise<Tensors>;

/** The networks that look at photos, in a given runtime. */
export function faceNetworks(runtime: Runtime, weightsOf: OpenFaceWeights): FaceNetworks {
  const lazy = <Name extends string>(name: FaceNetworkName, build: (w: Weights) => Readonly<Record<Name, Tensor>>) =>
    new LazySession<Name>(runtime, name, async () => ({
      outputs: build(new Weights(new Checkpoint(await weightsOf(name), name))),
    }));
  const square = (side: number): Tensor => input("x", [1, 3, side, side]);
  const detector = lazy<YunetOutput>("yunet", (w) => {
    const [height, width] = [namedDim("height"), namedDim("width")].map((side) => mulDims(side, MULTIPLE));
    return yunet(input("x", [1, 3, height!, width!]), w);
  });
  const mesh = lazy<"points" | "flag">("face-mesh", (w) => faceMesh(square(FACE_MESH_SIDE), w));
  const recogniser = lazy<"vector">("dlib-resnet", (w) => ({ vector: dlibResnet(square(DLIB_SIDE), w) }));
  const segmenter = lazy<"mask">("selfie", (w) => ({ mask: selfie(square(SELFIE_SIDE), w) }));
  const all = [detector, mesh, recogniser, segmenter];

  async function run<Name extends string>(
    session: LazySession<Name>,
    x: FloatArray,
    signal?: AbortSignal,
  ): Promise<Record<Name, FloatArray>> {
    signal?.throwIfAborted();
    const loaded = await session.get(SILENT);
    signal?.throwIfAborted();
    return (await loaded.run({ x } satisfies Feeds)) as Record<Name, FloatArray>;
  }

  async function landmarks(picture: Rgb8, view: MeshView, signal?: AbortSignal): Promise<FaceMesh> {
    const seen = await look(view);
    const better = turnedView(seen, view);
    return better === undefined || seen.isFace <= 0 ? seen : look(better);

    async function look(from: MeshView): Promise<FaceMesh> {
      const transform = meshTransform(from);
      const square = takeSquare(picture, transform, FACE_MESH_SIDE);
      const { points, flag } = await run(mesh, networkPixels(square, { spread: 255 }), signal);
      return meshOf(points.data, flag.data[0]!, transform);
    }
  }

  return {
    async detect(picture: Rgb8, signal?: AbortSignal): Promise<Detection[]> {
      const seen = await shrink(picture, DETECTOR_SIDE);
      const whole = (side: number): number => Math.ceil(side / MULTIPLE) * MULTIPLE;
      const [width, height] = [whole(seen.width), whole(seen.height)];
      const found = await run(detector, networkPixels(seen, { order: "bgr", width, height }), signal);
      const view = { across: seen.width / picture.width, down: seen.height / picture.height, left: 0, top: 0 };
      return yunetFaces(found, width, LIMITS).map((face) => (seen === picture ? face : placed(face, view)));
    },
    mesh: (picture: Rgb8, face: Detection, signal?: AbortSignal): Promise<FaceMesh> =>
      landmarks(picture, viewOfFace(face), signal),
    async embed(picture: Rgb8, points: FivePoints, signal?: AbortSignal): Promise<Float32Array> {
      const transform = chipTransform(await landmarks(picture, viewOfPoints(points), signal), points);
      const { vector } = await run(recogniser, networkPixels(takeSquare(picture, transform, DLIB_SIDE)), signal);
      return unitVector(vector.data);
    },
    async personMask(picture: Rgb8, signal?: AbortSignal): Promise<Float32Array> {
      const small = resize(await shrink(picture, 4 * SELFIE_SIDE), SELFIE_SIDE, SELFIE_SIDE, "bilinear");
      const { mask } = await run(segmenter, networkPixels(small, { spread: 255 }), signal);
      return stretch(mask.data, SELFIE_SIDE, SELFIE_SIDE, picture.width, picture.height);
    },
    async unload(): Promise<void> {
      await Promise.all(all.map((session) => session.unload()));
    },
  };
}

const SILENT: LoadObserver = { loading: () => {}, preparing: () => {}, noted: () => {}, loaded: () => {} };
