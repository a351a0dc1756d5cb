import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GenerateInput } from "../../contract/request.ts";
import { floats, type NdArray } from "../../core/array.ts";
import { decodePhoto, readPngSettings } from "../../image/index.ts";
import type { Feeds, Session } from "../../runtime/runtime.ts";
import type { TextEmbeds } from "../../sessions/text/text-stage.ts";
import { MAN_WITH_HAT, TINY_V1 } from "../../testing/tiny-model.ts";
import { PhotoMaker } from "../photomaker.ts";
import { checkDeepCache, DeepCache } from "./deep-cache.ts";
import type { Conditioning } from "./denoiser.ts";

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
  const text = (): TextEmbeds => ({ context: floats(new Float32Array(1), 1), pooled: floats(new Float32Array(1), 1) });
  const value = (n: number): NdArray => floats(Float32Array.of(n), 1);

  const conditioning = {} as Conditioning;

  /** Parts that count: the deep one answers how often it was asked, the outer one with what it is given. */
  function counting(interval: number) {
    let asked = 0;
    const parts = {
      deep: { run: async () => ({ deep: value(++asked) }) },
      outer: { run: async (feeds: Feeds) => ({ noise: feeds.deepFeature! }) },
    } as unknown as { deep: Session<"deep">; outer: Session<"noise"> };
    const cache = new DeepCache(parts, interval);
    return async (texts: readonly TextEmbeds[], runs = 1, how = conditioning): Promise<number[]> => {
      cache.begin([...texts], how);
      const out: number[] = [];
      for (let i = 0; i < runs; i++) out.push((await cache.run({})).noise.data[0] as number);
      return out;
    };
  }

  test("the end of guidance, which leaves half of the rows, puts away what was said", async () => {
    const evaluate = counting(4);
    const texts = [text()];
    expect(await evaluate(texts)).toEqual([1]);
    expect(await evaluate(texts)).toEqual([1]);
    expect(await evaluate(texts, 1, { ...conditioning })).toEqual([2]);
  });

  test("every third, counted anew from the step at which the identity is merged in", async () => {
    const evaluate = counting(3);
    const [plain, merged] = [text(), text()];
    const seen: number[] = [];
    for (const t of [plain, plain, plain, plain, plain, merged, merged, merged, merged]) seen.push(...(await evaluate([t])));
    expect(seen).toEqual([1, 1, 1, 2, 2, 3, 3, 3, 4]);
  });

  test("each part of a batch has its own", async () => {
    const evaluate = counting(2);
    const texts = [text(), text()];
    expect(await evaluate(texts, 2)).toEqual([1, 2]);
    expect(await evaluate(texts, 2)).toEqual([1, 2]);
    expect(await evaluate(texts, 2)).toEqual([3, 4]);
  });
});

test("a UNet of one level is refused", () => {
  const unet = unetOf(1);
  expect(() => checkDeepCache({ deepCache: 2 }, unet)).toThrow(expect.objectContaining({ code: "deep-cache/one-level" }));
  expect(() => checkDeepCache({}, unet)).not.toThrow();
  expect(() => checkDeepCache({ deepCache: 2 }, unetOf(2))).not.toThrow();
});
const unetOf = (levels: number) => ({ channels: Array<number>(levels).fill(32) }) as never;
