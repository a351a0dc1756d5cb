import { expect, test } from "vitest";
import { type FloatArray, floats } from "../core/array.ts";
import { type EightBits, eightBitProbe, eightBitProbeFeeds, probeEightBits, rightForm } from "./eight-bit-probe.ts";
import { ortRuntime } from "./ort-runtime.ts";

test("the probe passes the form whose products are right: the other where one ends at 16 bits, none where both do", async () => {
  const runtime = ortRuntime();
  expect(await probeEightBits(runtime)).toBeDefined();
  const values = (await (await runtime.load(eightBitProbe)).run(eightBitProbeFeeds)) as Record<EightBits, FloatArray>;
  await runtime.close();
  const right = values.unsigned; // also on a processor whose signed products are wrong
  const halved = floats(
    right.data.map((v) => (v * 32767) / (2 * 255 * 127)),
    ...right.dims,
  );
  const nothing = floats(right.data.with(7, Number.NaN), ...right.dims);
  expect(rightForm({ signed: right, unsigned: right })).toBe("signed");
  expect(rightForm({ signed: halved, unsigned: right })).toBe("unsigned");
  expect(rightForm({ signed: nothing, unsigned: halved })).toBeUndefined();
});
