import { YUNET_STRIDES, type YunetOutput } from "../../models/faces/yunet.ts";
import type { Box, Detection, FivePoints, Point } from "../face.ts";
import { suppress } from "./suppress.ts";

export interface DetectionLimits {
  /** Least score. */
  readonly threshold: number;
  /** Largest overlap of two faces, as intersection over union. */
  readonly overlap: number;
}

/** OpenCV looks at no more candidates than these. */
const MOST = 5000;

/**
 * Faces in YuNet's output, in pixels of its input, best first.
 * @param width of the input, a multiple of 32
 * @see opencv 5.0.0 modules/objdetect/src/face_detect.cpp FaceDetectorYNImpl::postProcess
 */
export function yunetFaces(
  output: Readonly<Record<YunetOutput, { readonly data: ArrayLike<number> }>>,
  width: number,
  { threshold, overlap }: DetectionLimits,
): Detection[] {
  const found: Detection[] = [];
  for (const stride of YUNET_STRIDES) {
    const [cls, obj, bbox, kps] = (["cls", "obj", "bbox", "kps"] as const).map((head) => output[`${head}_${stride}`].data) as [
      ArrayLike<number>,
      ArrayLike<number>,
      ArrayLike<number>,
      ArrayLike<number>,
    ];
    const columns = width / stride;
    for (let i = 0; i < cls.length; i++) {
      const score = Math.sqrt(within(cls[i]!) * within(obj[i]!));
      if (!(score >= threshold)) continue;
      const [column, row] = [i % columns, Math.floor(i / columns)];
      const [x, y] = [(column + bbox[i * 4]!) * stride, (row + bbox[i * 4 + 1]!) * stride];
      const [halfWide, halfHigh] = [(Math.exp(bbox[i * 4 + 2]!) * stride) / 2, (Math.exp(bbox[i * 4 + 3]!) * stride) / 2];
      const point = (n: number): Point => [(column + kps[i * 10 + 2 * n]!) * stride, (row + kps[i * 10 + 2 * n + 1]!) * stride];
      found.push({
        box: { left: x - halfWide, top: y - halfHigh, right: x + halfWide, bottom: y + halfHigh },
        points: [0, 1, 2, 3, 4].map(point) as unknown as FivePoints,
        score,
      });
    }
  }
  const best = found.sort((a, b) => b.score - a.score).slice(0, MOST);
  return suppress(
    best.map((face) => ({ ...face, whole: wholeNumbers(face.box) })),
    (a, b) => sharedShare(a.whole, b.whole),
    overlap,
  ).map(({ box, points, score }) => ({ box, points, score }));
}

const within = (x: number): number => Math.min(1, Math.max(0, x));

/** The box as OpenCV compares it: corner, width and height cut to whole numbers. */
function wholeNumbers({ left, top, right, bottom }: Box): Box {
  const [x, y] = [Math.trunc(left), Math.trunc(top)];
  return { left: x, top: y, right: x + Math.trunc(right - left), bottom: y + Math.trunc(bottom - top) };
}

/** Intersection over union; two boxes without an area are the same. */
function sharedShare(a: Box, b: Box): number {
  const area = ({ left, top, right, bottom }: Box): number => (right - left) * (bottom - top);
  const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  const shared = across > 0 && down > 0 ? across * down : 0;
  const whole = area(a) + area(b) - shared;
  return whole > 0 ? shared / whole : 1;
}
