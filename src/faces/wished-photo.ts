import type { FaceWish } from "./choose.ts";

/**
 * Takes a photo's name with a choice of its face apart: `family.jpg#2` is the second face from the left, `friends.jpg@0.31,0.4` the face at a point in
 * shares of width and height, `team.jpg#largest` the largest. Every other name is a path alone.
 */
export function wishedPhoto(name: string): { readonly path: string; readonly wish?: FaceWish } {
  const [, path, face] = /^(.+)#(\d+|largest)$/.exec(name) ?? [];
  if (path !== undefined) return { path, wish: face === "largest" ? face : Number(face) - 1 };
  const [, before, x, y] = /^(.+)@(\d*\.?\d+),(\d*\.?\d+)$/.exec(name) ?? [];
  if (before !== undefined) return { path: before, wish: { at: [Number(x), Number(y)] } };
  return { path: name };
}
