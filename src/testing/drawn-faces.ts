import type { Detection, FaceMesh, FaceNetworks, FivePoints, Point } from "../faces/face.ts";
import { resize } from "../image/resize.ts";
import { type Rgb8, rgb8 } from "../image/rgb8.ts";

/**
 * A marker that stands for a face: a square, magenta above and of the person's colour below, with eyes on the line between. The made-up networks
 * see it when it is upright and not too small, as detectors do.
 */
export interface DrawnFace {
  readonly left: number;
  readonly top: number;
  readonly side: number; // pixels
  readonly person: number; // 0 to 7
  /** Certainty that the detector will have; 0.9 if not given. */
  readonly score?: number;
}

const BACKGROUND = 60;
const SCORES = 200; // blue of magenta: 200 is a score of 0.5, 250 of 1

/** Draws faces on grey. */
export function drawnPhoto(width: number, height: number, faces: readonly DrawnFace[]): Rgb8 {
  const data = new Uint8Array(width * height * 3).fill(BACKGROUND);
  for (const { left, top, side, person, score = 0.9 } of faces)
    for (let y = 0; y < side; y++)
      for (let x = 0; x < side; x++) {
        const [column, row] = [left + x, top + y];
        if (column < 0 || row < 0 || column >= width || row >= height) continue;
        const upper = y < side / 2;
        data.set(upper ? [255, 0, SCORES + (score - 0.5) * 100] : [0, 90 + 20 * person, 255], (row * width + column) * 3);
      }
  return rgb8(width, height, data);
}

const DETECTOR = 640; // pixels
const LEAST = 12; // pixels

/** Networks that see drawn faces, and what they were asked. */
export function drawnNetworks(): FaceNetworks & { readonly asked: { detect: number; embed: number; mesh: number } } {
  const asked = { detect: 0, embed: 0, mesh: 0 };
  return {
    asked,
    detect: async (picture) => {
      asked.detect++;
      const scale = Math.min(1, DETECTOR / Math.max(picture.width, picture.height));
      const [width, height] = [Math.round(picture.width * scale), Math.round(picture.height * scale)];
      const small = scale < 1 ? resize(picture, width, height, "bilinear") : picture;
      return markers(small).map(({ box, points, score }) => ({
        box: { left: box.left / scale, top: box.top / scale, right: box.right / scale, bottom: box.bottom / scale },
        points: points.map(([x, y]) => [x / scale, y / scale]) as unknown as FivePoints,
        score,
      }));
    },
    mesh: async (_, { box, score }): Promise<FaceMesh> => {
      asked.mesh++;
      const [w, h] = [box.right - box.left, box.bottom - box.top];
      const points = Array.from({ length: 468 }, (_, i) => [box.left + (w * (i % 20)) / 19, box.top + (h * i) / 467, 0] as const);
      return { points, isFace: score >= 0.6 ? 20 : -5 };
    },
    embed: async (picture, points) => {
      asked.embed++;
      const [x, y] = [0, 1].map((axis) => Math.round((points[3][axis]! + points[4][axis]!) / 2)) as [number, number];
      const green = picture.data[(Math.min(picture.height - 1, y) * picture.width + x) * 3 + 1]!;
      const vector = new Float32Array(9).fill(0);
      vector[Math.min(7, Math.max(0, Math.round((green - 90) / 20)))] = 0.9;
      vector[8] = Math.sqrt(1 - 0.81); // what all faces have in common
      return vector;
    },
    personMask: async ({ width, height, data }) =>
      Float32Array.from({ length: width * height }, (_, i) => (data[i * 3] === BACKGROUND ? 0 : 1)),
    unload: async () => {},
  };
}

/** Connected magenta pixels that have another colour below: the upper halves of upright faces. */
function markers({ width, height, data }: Rgb8): Detection[] {
  const magenta = (i: number): boolean => data[i * 3]! > 200 && data[i * 3 + 1]! < 60 && data[i * 3 + 2]! > 150;
  const seen = new Uint8Array(width * height);
  const found: Detection[] = [];
  for (let start = 0; start < seen.length; start++) {
    if (seen[start] || !magenta(start)) continue;
    const stack = [start];
    seen[start] = 1;
    let [left, right, top, bottom] = [width, 0, height, 0];
    while (stack.length > 0) {
      const i = stack.pop()!;
      const [x, y] = [i % width, Math.floor(i / width)];
      [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x + 1), Math.min(top, y), Math.max(bottom, y + 1)];
      const near = [x > 0 ? i - 1 : -1, x + 1 < width ? i + 1 : -1, i - width, i + width];
      for (const n of near)
        if (n >= 0 && n < seen.length && !seen[n] && magenta(n)) {
          seen[n] = 1;
          stack.push(n);
        }
    }
    const side = right - left;
    const below = (Math.min(height - 1, bottom + 2) * width + Math.floor((left + right) / 2)) * 3;
    if (side < LEAST || data[below]! > 40 || data[below + 2]! < 200) continue;
    const at = (x: number, y: number): Point => [left + x * side, top + y * side];
    const blue = data[(Math.floor((top + bottom) / 2) * width + Math.floor((left + right) / 2)) * 3 + 2]!;
    found.push({
      box: { left, top, right, bottom: Math.min(height, top + side) },
      points: [at(0.3, 0.4), at(0.7, 0.4), at(0.5, 0.6), at(0.35, 0.8), at(0.65, 0.8)],
      score: 0.5 + (blue - SCORES) / 100,
    });
  }
  return found.sort((a, b) => b.score - a.score);
}
