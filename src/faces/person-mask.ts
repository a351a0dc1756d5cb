import type { Box } from "./face.ts";
import { centreOf, sideOf } from "./geometry.ts";

/** Least share of a pixel that belongs to a person for the pixel to connect parts of the mask. */
const CONNECTS = 0.5;
/** A body reaches down: distances downwards from a face count so much less than those to the side. */
const DOWNWARDS = 0.3;

/**
 * Takes one person out of a mask of all people: what is connected with the face, and nearer to it than to any other face. Distances are in
 * sides of each face, so that a child before an adult keeps its own; networks for masks do not tell people apart.
 *
 * @param mask  share of each pixel that belongs to a person, [height, width], 0 to 1
 * @param face  box of the person's face in pixels of the mask
 * @param others boxes of other faces
 * @returns the mask of the one person
 */
export function maskOfPerson(
  mask: Float32Array,
  { width, height }: { readonly width: number; readonly height: number },
  face: Box,
  others: readonly Box[],
): Float32Array {
  const distanceTo = (box: Box) => {
    const [[cx, cy], side] = [centreOf(box), sideOf(box)];
    return (x: number, y: number): number => {
      const dy = (y > cy ? DOWNWARDS : 1) * (y - cy);
      return ((x - cx) ** 2 + dy ** 2) / side ** 2;
    };
  };
  const own = distanceTo(face);
  const rivals = others.map(distanceTo);
  const mine = (i: number): boolean => {
    const [x, y] = [(i % width) + 0.5, Math.floor(i / width) + 0.5];
    const distance = own(x, y);
    return rivals.every((rival) => distance <= rival(x, y));
  };
  const out = new Float32Array(mask.length);
  const reached = new Uint8Array(mask.length);
  const stack: number[] = [];
  const reach = (i: number): void => {
    if (reached[i] || mask[i] === 0 || !mine(i)) return;
    reached[i] = 1;
    out[i] = mask[i]!;
    if (mask[i]! >= CONNECTS) stack.push(i); // the soft edge is kept, and leads no further
  };
  for (let y = Math.max(0, Math.floor(face.top)); y < Math.min(height, face.bottom); y++)
    for (let x = Math.max(0, Math.floor(face.left)); x < Math.min(width, face.right); x++) reach(y * width + x);
  for (let i = stack.pop(); i !== undefined; i = stack.pop()) {
    const x = i % width;
    if (x > 0) reach(i - 1);
    if (x + 1 < width) reach(i + 1);
    if (i >= width) reach(i - width);
    if (i + width < mask.length) reach(i + width);
  }
  return softened(out, mask, mine, width);
}

/** Adds the rest of the soft edge: faint pixels beside kept ones, up to some pixels away. */
function softened(kept: Float32Array, mask: Float32Array, mine: (i: number) => boolean, width: number): Float32Array {
  const far = Math.max(1, Math.round(width / 64));
  let edge = [...kept.keys()].filter((i) => kept[i]! > 0 && kept[i]! < CONNECTS);
  for (let step = 0; step < far && edge.length > 0; step++) {
    const next: number[] = [];
    for (const i of edge)
      for (const n of [i % width > 0 ? i - 1 : -1, (i + 1) % width > 0 ? i + 1 : -1, i - width, i + width])
        if (n >= 0 && n < mask.length && kept[n] === 0 && mask[n]! > 0 && mask[n]! < CONNECTS && mine(n)) {
          kept[n] = mask[n]!;
          next.push(n);
        }
    edge = next;
  }
  return kept;
}
