import { afterAll, expect, test } from "vitest";
import { gaussians } from "../../../core/random/gaussians.ts";
import { seededRandom } from "../../../core/random/seeded-random.ts";
import type { TensorEntry } from "../../../weights/index.ts";
import { Rounder } from "./rounder.ts";

const rounders = { full: new Rounder("full"), paired: new Rounder("paired") };
afterAll(() => Promise.all(Object.values(rounders).map((rounder) => rounder.close())));

const [OUT, CHANNELS] = [6, 8];

test.each([
  ["full", 1],
  ["full", 9],
  ["paired", 1],
  ["paired", 9],
] as const)(
  "weights are rounded to the finest steps whose products of bytes are correct (%s, %d kernel positions)",
  async (weightRange, places) => {
    const into = CHANNELS * places;
    const values = gaussians(seededRandom(7), OUT * into);
    values.fill(0, into, 2 * into); // an output without weights
    values.set(
      [3, -3].flatMap((v) => Array<number>(places).fill(v)),
      2 * into,
    ); // a pair whose sum is small
    const source = { kind: "bytes", bytes: new Uint8Array(values.buffer) } as const;
    const entry: TensorEntry = { name: "w", dtype: "F32", shape: [OUT, into], source };
    const { rounded, scales } = await rounders[weightRange].round(entry, places, []);
    const at = (out: number, channel: number, place: number): number => rounded[(channel * places + place) * OUT + out]!;
    for (let out = 0; out < OUT; out++) {
      let [most, ofPairs] = [0, 0];
      for (let i = 0; i < into; i++) {
        const [channel, place] = [Math.floor(i / places), i % places];
        expect(Math.abs(at(out, channel, place) * scales[out]! - values[out * into + i]!)).toBeLessThanOrEqual(
          scales[out]! * 0.501,
        );
        most = Math.max(most, Math.abs(at(out, channel, place)));
        if (channel % 2 === 0) ofPairs = Math.max(ofPairs, Math.abs(at(out, channel, place) + at(out, channel + 1, place)));
      }
      if (weightRange === "full") expect(most).toBe(out === 1 ? 0 : 127);
      else {
        expect(ofPairs).toBeLessThanOrEqual(128);
        expect(Math.max(most, ofPairs)).toBeGreaterThanOrEqual(out === 1 ? 0 : 126);
        if (out === 2) expect(most).toBeGreaterThan(80);
      }
    }
  },
);
