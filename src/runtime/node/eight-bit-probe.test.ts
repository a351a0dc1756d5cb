import { expect, test } from "vitest";
import { floats } from "../../core/array.ts";
import { correctRange, eightBitProbe, eightBitProbeFeeds, probeEightBits } from "../eight-bit-probe.ts";
import { ortRuntime } from "./ort-runtime.ts";

test("the probe finds the range of weights whose products are correct: pairs where sums saturate at 16 bits, none where those are wrong, too", async () => {
  const runtime = ortRuntime();
  expect(await probeEightBits(runtime)).toBeDefined();
  const found = await (await runtime.load(eightBitProbe)).run(eightBitProbeFeeds);
  await runtime.close();
  const [paired, unsigned] = [found.paired, found.unsigned].map(({ data, dims }) => floats(data as Float32Array, ...dims));
  // the same results on every processor that runs this test
  const full = floats(
    Float32Array.from({ length: 4 * 16 }, (_, i) => (i % 2 === 0 ? 64 * 127 : -64 * 127)),
    ...[4, 16],
  );
  const ended = floats(
    full.data.map((v) => (v * 32767) / (2 * 255 * 127)),
    ...full.dims,
  );
  const nothing = floats(paired!.data.with(7, Number.NaN), ...paired!.dims);
  const otherPairs = floats(
    paired!.data.map((v, i) => (i % 4 < 2 ? v / 2 : v)),
    ...paired!.dims,
  );
  const of = (some: Partial<Parameters<typeof correctRange>[0]>) =>
    correctRange({ full: ended, paired: paired!, unsigned: unsigned!, ...some });
  expect(of({ full })).toBe("full");
  expect(of({})).toBe("paired");
  expect(of({ paired: nothing })).toBeUndefined();
  expect(of({ paired: otherPairs })).toBeUndefined();
  expect(of({ unsigned: floats(unsigned!.data.with(3, 0.6), ...unsigned!.dims) })).toBeUndefined();
});
