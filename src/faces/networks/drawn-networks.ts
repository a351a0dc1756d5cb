import { Checkpoint } from "../../graph/checkpoint.ts";
import { namedDim } from "../../graph/dim.ts";
import { input } from "../../graph/ops/source.ts";
import { Weights } from "../../graph/weights.ts";
import { clipNormalise } from "../../image/clip-preprocess.ts";
import type { Rgb8 } from "../../image/rgb8.ts";
import { clipVision, pooledVision } from "../../models/clip-vision.ts";
import { idEncoderV1Config } from "../../models/id-encoder-config.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { LazySession } from "../../sessions/lazy-session.ts";
import type { Tensors } from "../../weights/tensor-entry.ts";
import { similarity } from "../align.ts";
import type { Detection, FaceNetworks, FivePoints } from "../face.ts";
import { faceNetworks, type OpenFaceWeights, SILENT } from "./networks.ts";
import { unitVector } from "./recogniser.ts";
import { takeSquare } from "./take.ts";

/** What a model of drawn people brings along to look at pictures of them. */
export interface DrawnFaces {
  /** YuNet's weights, trained on drawn faces. */
  readonly detector: Tensors;
  /** The adapter's ID encoder, whose vision transformer tells the people apart, and its `photomaker-config.json`. */
  readonly idEncoder: Tensors;
  readonly config: unknown;
}

/** Least score of a drawn face. Faces of unseen people score nearly 1 (docs/faces.md). */
const THRESHOLD = 0.7;
/** Side of the largest pictures that the detector was trained on, in pixels: in larger ones it takes suns and wheels for faces. */
const DETECTOR_SIDE = 256;
/** Places of the five points in an ID image of MiniFaces, in shares of its side: means over 2000 pictures. */
const IN_PORTRAIT: FivePoints = [
  [0.378, 0.54],
  [0.622, 0.54],
  [0.5, 0.656],
  [0.406, 0.737],
  [0.594, 0.737],
];
/** Moves the detector's certainty to the scale of FaceMesh's flag: 0.5 becomes 0, and 0.9 what a clear face has. */
const flagOf = (score: number): number => 20 * (score - 0.5);

/**
 * The networks that look at pictures of drawn people. The detector is their own; so is the recogniser, the ID encoder's vision transformer on the face
 * as ID images show it. Landmarks and mask are those of real photos: FaceMesh has seen no drawings, and its doubts do not count here.
 */
export function drawnFaceNetworks(runtime: Runtime, weightsOf: OpenFaceWeights, drawn: DrawnFaces): FaceNetworks {
  const usual = faceNetworks(runtime, async (name) => (name === "yunet" ? drawn.detector : weightsOf(name)), {
    threshold: THRESHOLD,
    detectorSide: DETECTOR_SIDE,
  });
  const { vision } = idEncoderV1Config(drawn.idEncoder, drawn.config);
  const side = vision.image;
  const recogniser = new LazySession<"pooled">(runtime, "drawn-recogniser", async () => {
    const w = new Weights(new Checkpoint(drawn.idEncoder, "the ID encoder")).at("vision_model");
    const pixels = input("pixels", [namedDim("batch"), 3, side, side]);
    return { outputs: { pooled: pooledVision(clipVision(pixels, w, vision), w, vision) } };
  });
  return {
    ...usual,
    async mesh(picture: Rgb8, face: Detection, signal?: AbortSignal) {
      const mesh = await usual.mesh(picture, face, signal);
      return { ...mesh, isFace: Math.max(mesh.isFace, flagOf(face.score)) };
    },
    async embed(picture: Rgb8, points: FivePoints, signal?: AbortSignal): Promise<Float32Array> {
      signal?.throwIfAborted();
      const places = IN_PORTRAIT.map(([x, y]) => [x * side, y * side] as const);
      const seen = takeSquare(picture, similarity(points, places), side);
      const session = await recogniser.get(SILENT);
      signal?.throwIfAborted();
      const data = clipNormalise(seen);
      const { pooled } = await session.run({ pixels: { dtype: "f32", dims: [1, 3, side, side], data } });
      return unitVector(pooled.data as Float32Array);
    },
    async unload(): Promise<void> {
      await Promise.all([usual.unload(), recogniser.unload()]);
    },
  };
}
