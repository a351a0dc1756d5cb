import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GenerateEvent } from "../contract/events.ts";
import type { GenerateInput, LoadInput } from "../contract/request.ts";
import { floats, type NdArray } from "../core/array.ts";
import { PhotoMaker } from "../pipeline/photomaker.ts";
import { goldenPath } from "../testing/golden.ts";
import { silent, TINY_V1 } from "../testing/tiny-model.ts";
import { contentKey, EncodingCache } from "./encoding-cache.ts";
import { encodeText, type TextEncoder } from "./text/text-stage.ts";

const of = (length: number, value = 0) => ({ tokens: floats(new Float32Array(length).fill(value), length) });

describe("the cache", () => {
  test("drops the least recently used entries, and holds no more bytes than its capacity", () => {
    const cache = new EncodingCache(40);
    for (const key of ["a", "b"]) cache.set(key, of(5));
    expect(cache.bytes).toBe(40);
    cache.get("a");
    cache.set("c", of(5));
    expect(["a", "b", "c"].map((key) => cache.get(key) !== undefined)).toEqual([true, false, true]);
    cache.set("a", of(2, 7)); // the new value in place of the old
    expect([cache.bytes, cache.get("a")!.tokens!.data[0]]).toEqual([28, 7]);
    cache.set("d", of(11)); // larger than all: not kept, and nothing goes for it
    expect([cache.get("d"), cache.bytes]).toEqual([undefined, 28]);
  });

  test("its byte count is always that of its entries", () => {
    const step = fc.record({ key: fc.integer({ min: 0, max: 5 }), length: fc.integer({ min: 0, max: 12 }) });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const cache = new EncodingCache(100);
        const lengths = new Map<string, number>();
        for (const { key, length } of steps) {
          cache.set(`${key}`, of(length));
          lengths.set(`${key}`, length);
        }
        const kept = [...lengths].filter(([key]) => cache.get(key) !== undefined);
        expect(kept.reduce((sum, [, length]) => sum + 4 * length, 0)).toBe(cache.bytes);
        expect(cache.bytes).toBeLessThanOrEqual(100);
      }),
    );
  });

  test("keys depend on encoder, content and the boundaries of arrays", async () => {
    const some = Float32Array.of(1, 2);
    const keys = await Promise.all([
      contentKey("e", some),
      contentKey("f", some),
      contentKey("e", Float32Array.of(1, 3)),
      contentKey("e", Float32Array.of(1), Float32Array.of(2)),
      contentKey("e", [1, 2]),
      contentKey("e", some, []),
    ]);
    expect(new Set(keys).size).toBe(keys.length);
    expect(await contentKey("e", Float32Array.of(0, 1, 2).subarray(1))).toBe(keys[0]);
  });
});

test("a text is encoded once for each clipSkip", async () => {
  const runs: string[] = [];
  const encoder = (name: string, outputs: object): TextEncoder =>
    ({
      graph: { unfinished: { outputs }, config: { layers: 4, width: 2, projection: 3, endToken: 9 } },
      session: {
        name,
        get: async () => ({
          run: async ({ ids }: Record<string, NdArray>, names: readonly string[]) => {
            runs.push(`${name} ${names[0]}`);
            const n = ids!.dims[1]!;
            return {
              [names[0]!]: floats(new Float32Array(2 * n).fill(runs.length), n, 2),
              pooled: floats(new Float32Array(3), 3),
            };
          },
        }),
      },
    }) as unknown as TextEncoder;
  const both = [encoder("one", {}), encoder("two", { pooled: 1 })] as const;
  const cache = new EncodingCache(1000);
  const ids = { first: [1, 9], second: [1, 9] };
  const first = await encodeText(both, ids, 0, cache, silent);
  expect(await encodeText(both, ids, 0, cache, silent)).toEqual(first);
  expect(runs).toEqual(["one hidden_3", "two hidden_3"]);
  await encodeText(both, ids, 1, cache, silent);
  expect(runs.slice(2)).toEqual(["one hidden_2", "two hidden_2"]);
  await encodeText(both, { first: [2, 9], second: [1, 9] }, 1, cache, silent);
  expect(runs.slice(4)).toEqual(["one hidden_2"]);
  const nothing = new EncodingCache(0);
  await encodeText(both, ids, 0, nothing, silent);
  await encodeText(both, ids, 0, nothing, silent);
  expect(runs).toHaveLength(9);
});

describe("with models unloaded after use, cached encodings load no encoder", () => {
  const V1: LoadInput = { ...TINY_V1, unloadAfterUse: true };
  const base: GenerateInput = {
    prompt: "a photo of a man img, wearing a hat",
    negativePrompt: "ugly",
    inputIdImages: [goldenPath("photos", "person_0.png")],
    width: 64,
    height: 64,
    numInferenceSteps: 2,
    seed: 1,
  };
  let caching: PhotoMaker;
  let forgetful: PhotoMaker;
  beforeAll(async () => {
    caching = await PhotoMaker.load(V1);
    forgetful = await PhotoMaker.load({ ...V1, encodingCacheBytes: 0 });
    await caching.generate(base);
  });
  afterAll(async () => {
    await caching.close();
    await forgetful.close();
  });

  const draw = async (pm: PhotoMaker, input: GenerateInput): Promise<{ loads: string[]; final: Float32Array }> => {
    const events: GenerateEvent[] = [];
    for await (const event of pm.generate(input)) events.push(event);
    return {
      loads: events.flatMap((e) => (e.type === "progress" && e.phase === "load" && e.step === 0 ? [e.detail!] : [])),
      final: events.flatMap((e) => (e.type === "done" ? [e.latents.final] : []))[0]!,
    };
  };

  test.each<[string, Partial<GenerateInput>, string[]]>([
    ["the same again", {}, []],
    ["another seed", { seed: 2 }, []],
    ["another prompt", { prompt: "a woman img in the rain" }, ["text_encoder", "text_encoder_2", "fuse_module"]],
    ["another photo", { inputIdImages: [goldenPath("photos", "other.png")] }, ["id_encoder", "fuse_module"]],
    ["no negative text", { guidanceScale: 1 }, []],
  ])("%s", async (_, more, encoders) => {
    const [known, anew] = [await draw(caching, { ...base, ...more }), await draw(forgetful, { ...base, ...more })];
    expect(known.loads).toEqual([...encoders, "unet", "vae"]);
    expect(anew.loads).toEqual(["text_encoder", "text_encoder_2", "id_encoder", "fuse_module", "unet", "vae"]);
    expect(known.final).toEqual(anew.final);
  });
});
