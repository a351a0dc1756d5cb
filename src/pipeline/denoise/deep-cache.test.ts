import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GenerateInput } from "../../contract/request.ts";
import { floats, type NdArray } from "../../core/array.ts";
import { decodePhoto, readPngSettings } from "../../image/index.ts";
import type { Feeds, Session } from "../../runtime/runtime.ts";
import { LoadedUNet } from "../../sessions/unet-form.ts";
import { MAN_WITH_HAT, TINY_V1 } from "../../testing/tiny-model.ts";
import { PhotoMaker } from "../photomaker.ts";
import { checkDeepCache, DeepCache } from "./deep-cache.ts";
import { evaluate } from "./denoiser.ts";
import type { Guidance, Told } from "./guidance.ts";

const base: GenerateInput = { ...MAN_WITH_HAT, startMergeStep: 2 };

const load = () => PhotoMaker.load(TINY_V1);
let pm: PhotoMaker;
beforeAll(async () => {
  pm = await load();
});
afterAll(() => pm.close());
const final = async (input: GenerateInput, maker = pm): Promise<Float32Array> => (await maker.generate(input)).latents.final;

test("an interval of 1 gives the picture of no cache to the bit, of several pictures at once too", async () => {
  await using whole = await load();
  for (const input of [base, { ...base, numImagesPerPrompt: 3, guidanceScale: 1 }]) {
    const expected = await final(input, whole);
    expect(await final({ ...input, deepCache: 1 })).toEqual(expected);
    expect(await final(input)).toEqual(expected); // from the parts, which stay
  }
});

test("a longer interval changes the picture a little, and each request anew", async () => {
  const [none, cached, again] = [
    await final(base),
    await final({ ...base, deepCache: 2 }),
    await final({ ...base, deepCache: 2 }),
  ];
  expect(again).toEqual(cached);
  expect(cached).not.toEqual(none);
  const off = (a: Float32Array): number => a.reduce((sum, v, i) => sum + Math.abs(v - none[i]!), 0);
  const other = await final({ ...base, seed: 2 });
  expect(off(cached)).toBeLessThan(off(other) / 2);
});

test("cached requests side by side give what each gives alone", async () => {
  const requests = [
    { ...base, deepCache: 3 },
    { ...base, deepCache: 3, seed: 2, prompt: "a woman img" },
  ];
  const together = await pm.generateTogether(requests);
  for (const [i, request] of requests.entries()) {
    const alone = (await pm.generate(request)).images[0]!;
    const [expected, got] = [await decodePhoto(alone.png), await decodePhoto(together[i]!.images[0]!.png)];
    const off = expected.data.reduce((sum, v, at) => sum + Math.abs(v - got.data[at]!), 0) / expected.data.length;
    expect(off).toBeLessThan(0.1);
  }
  await expect(pm.generateTogether([requests[0]!, { ...requests[1]!, startMergeStep: 1 }])).rejects.toThrow(/startMergeStep/);
});

test("a picture tells of its interval", async () => {
  const { images } = await pm.generate({ ...base, numInferenceSteps: 1, deepCache: 4 });
  const { parameters, settings } = readPngSettings(images[0]!.png);
  expect(parameters).toContain("DeepCache: 4");
  expect(settings).toMatchObject({ deepCache: 4 });
});

describe("which evaluations ask the deep layers", () => {
  const row = (picture = 0): Told => {
    const numbers = floats(new Float32Array(1), 1);
    return { picture, context: numbers, pooled: numbers, timeIds: [0, 0, 0, 0, 0, 0] };
  };
  const value = (n: number): NdArray => floats(Float32Array.of(n), 1);

  /** Parts that count: the deep one answers how often it was asked, the outer one with what it is given. One row is computed at once. */
  function counting(interval: number) {
    let asked = 0;
    const session = (run: (feeds: Feeds) => Feeds) => ({ run: async (feeds: Feeds) => run(feeds) }) as unknown as Session;
    const unet = new LoadedUNet([
      { part: part("deep", { deep: "deepFeature" }), session: session(() => ({ deep: value(++asked) })) },
      { part: part("noise"), session: session((feeds) => ({ noise: feeds.deepFeature! })) },
    ]);
    const cache = new DeepCache(interval);
    const side = 1000;
    return async (rows: readonly Told[], index = 0): Promise<number[]> => {
      const guidance = { rows: () => rows, combine: (answers: Float32Array) => answers } as unknown as Guidance;
      const dims = [rows.length, 1, side, side] as const;
      const query = { sample: new Float32Array(rows.length * side ** 2), timestep: 1, index };
      const said = await evaluate({ unet, guidance, extensions: [cache], dims, device: "cpu" }, query);
      return rows.map((_, i) => said[i * side ** 2]!);
    };
  }
  const part = (output: string, gives = {}) => ({ name: output, outputs: { [output]: {} as never }, gives });

  test("the end of guidance, which leaves half of the rows, puts away what was said", async () => {
    const ask = counting(4);
    const [negative, positive] = [row(), row()];
    expect(await ask([negative, positive])).toEqual([1, 2]);
    expect(await ask([negative, positive])).toEqual([1, 2]);
    expect(await ask([positive])).toEqual([3]);
    expect(await ask([positive])).toEqual([3]);
  });

  test("every third, counted anew from the step at which the identity is merged in", async () => {
    const ask = counting(3);
    const [plain, merged] = [row(), row()];
    const seen: number[] = [];
    for (const t of [plain, plain, plain, plain, plain, merged, merged, merged, merged]) seen.push(...(await ask([t])));
    expect(seen).toEqual([1, 1, 1, 2, 2, 3, 3, 3, 4]);
  });

  test("wherever a run begins, its first evaluation asks them", async () => {
    const ask = counting(3);
    const told = row();
    const seen: number[] = [];
    for (const index of [7, 8, 9, 10]) seen.push(...(await ask([told], index)));
    expect(seen).toEqual([1, 1, 1, 2]);
  });

  test("each part of a batch has its own", async () => {
    const ask = counting(2);
    const rows = [row(0), row(1)];
    expect(await ask(rows)).toEqual([1, 2]);
    expect(await ask(rows)).toEqual([1, 2]);
    expect(await ask(rows)).toEqual([3, 4]);
  });
});

test("a UNet of one level is refused", () => {
  const unet = unetOf(1);
  expect(() => checkDeepCache({ deepCache: 2 }, unet)).toThrow(expect.objectContaining({ code: "deep-cache/one-level" }));
  expect(() => checkDeepCache({}, unet)).not.toThrow();
  expect(() => checkDeepCache({ deepCache: 2 }, unetOf(2))).not.toThrow();
});
const unetOf = (levels: number) => ({ channels: Array<number>(levels).fill(32) }) as never;
