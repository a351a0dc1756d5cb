import { expect, test } from "vitest";
import { rgb8 } from "../image/index.ts";
import type { FivePoints } from "./face.ts";
import { TURNS, turned, uprightTurn } from "./turn.ts";

const letters = (text: string, width: number) =>
  rgb8(width, text.length / width, Uint8Array.from([...text].flatMap((c) => [c.charCodeAt(0), 0, 0])));
const read = (picture: ReturnType<typeof letters>) =>
  Array.from({ length: picture.height }, (_, y) =>
    Array.from({ length: picture.width }, (_, x) => String.fromCharCode(picture.data[(y * picture.width + x) * 3]!)).join(""),
  );

test("a picture is turned clockwise", () => {
  const picture = letters("abcdef", 3);
  expect(TURNS.map((turn) => read(turned(picture, turn)))).toEqual([
    ["abc", "def"],
    ["da", "eb", "fc"],
    ["fed", "cba"],
    ["cf", "be", "ad"],
  ]);
});

test("the turn is found that sets a face upright", () => {
  /** Points of a face that was turned clockwise by so many degrees. */
  const face = (degrees: number): FivePoints => {
    const [sin, cos] = [Math.sin((degrees * Math.PI) / 180), Math.cos((degrees * Math.PI) / 180)];
    const at = (x: number, y: number) => [50 + x * cos - y * sin, 50 + x * sin + y * cos] as const;
    return [at(-10, -10), at(10, -10), at(0, 0), at(-8, 10), at(8, 10)];
  };
  expect([0, 40, -40, 90, 130, 180, 270, 230].map((degrees) => uprightTurn(face(degrees)))).toEqual([
    0, 0, 0, 270, 270, 180, 90, 90,
  ]);
});
