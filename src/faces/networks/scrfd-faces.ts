import type { Detection, FivePoints, Point } from "../face.ts";
import { suppress } from "./suppress.ts";
import type { DetectionLimits } from "./yunet-faces.ts";

export const SCRFD_STRIDES = [8, 16, 32] as const;
/** Boxes at each place. */
const ANCHORS = 2;

/** What SCRFD says at one stride: scores [places · 2], boxes [places · 2, 4] and points [places · 2, 10] as distances in strides. */
export interface ScrfdLevel {
  readonly score: ArrayLike<number>;
  readonly bbox: ArrayLike<number>;
  readonly kps: ArrayLike<number>;
}

/**
 * Faces in SCRFD's output, best first.
 * @param levels for each stride
 * @param width of the network's input
 * @param scale by which the picture was multiplied to become the input; faces are in the picture's pixels
 * @see deepinsight/insightface python-package/insightface/model_zoo/scrfd.py SCRFD.forward, SCRFD.detect, SCRFD.nms
 */
export function scrfdFaces(
  levels: readonly ScrfdLevel[],
  width: number,
  scale: number,
  { threshold, overlap }: DetectionLimits,
): Detection[] {
  const found: Detection[] = [];
  for (const [level, stride] of SCRFD_STRIDES.entries()) {
    const { score, bbox, kps } = levels[level]!;
    const columns = Math.ceil(width / stride);
    for (let i = 0; i < score.length; i++) {
      if (!(score[i]! >= threshold)) continue;
      const place = Math.floor(i / ANCHORS);
      const [x, y] = [(place % columns) * stride, Math.floor(place / columns) * stride];
      const [left, top, right, bottom] = [0, 1, 2, 3].map((n) => bbox[i * 4 + n]! * stride) as [number, number, number, number];
      const point = (n: number): Point => [
        (x + kps[i * 10 + 2 * n]! * stride) / scale,
        (y + kps[i * 10 + 2 * n + 1]! * stride) / scale,
      ];
      found.push({
        box: { left: (x - left) / scale, top: (y - top) / scale, right: (x + right) / scale, bottom: (y + bottom) / scale },
        points: [0, 1, 2, 3, 4].map(point) as unknown as FivePoints,
        score: score[i]!,
      });
    }
  }
  return suppress(found, wideOverlap, overlap);
}

/** Intersection over union with sides one pixel longer, as InsightFace counts them. */
function wideOverlap({ box: a }: Detection, { box: b }: Detection): number {
  const area = ({ left, top, right, bottom }: Detection["box"]): number => (right - left + 1) * (bottom - top + 1);
  const across = Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left) + 1);
  const down = Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) + 1);
  return (across * down) / (area(a) + area(b) - across * down);
}
