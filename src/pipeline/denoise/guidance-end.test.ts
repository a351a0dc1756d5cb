import { afterAll, beforeAll, expect, test } from "vitest";
import { type GenerateInput, parseGenerateRequest } from "../../contract/request.ts";
import { floats, type NdArray } from "../../core/array.ts";
import { readPngSettings } from "../../image/index.ts";
import type { Session } from "../../runtime/runtime.ts";
import { createSampler } from "../../samplers/create-sampler.ts";
import { LoadedUNet } from "../../sessions/unet-form.ts";
import { goldenPath } from "../../testing/golden.ts";
import { TINY_V1 } from "../../testing/tiny-model.ts";
import { PhotoMaker } from "../photomaker.ts";
import { Progress } from "../progress.ts";
import { settle } from "../settle.ts";
import { type DenoiseOptions, type Denoiser, denoise } from "./denoise.ts";
import type { Prepared } from "./prepared.ts";

let pm: PhotoMaker;
beforeAll(async () => {
  pm = await PhotoMaker.load(TINY_V1);
});
afterAll(() => pm.close());

const base: GenerateInput = {
  prompt: "a photo of a man img",
  negativePrompt: "ugly",
  inputIdImages: [goldenPath("photos", "person_0.png")],
  width: 64,
  height: 64,
  numInferenceSteps: 4,
  startMergeStep: 0,
  seed: 1,
};

/** How many rows the denoiser is asked for at each evaluation. */
async function rowsOf(input: Partial<GenerateInput>, scheduler: string): Promise<number[]> {
  const rows: number[] = [];
  const session = {
    run: async ({ latents }: Record<string, NdArray>) => {
      rows.push(latents!.dims[0]!);
      return { noise: { ...latents!, data: new Float32Array(latents!.data.length) } };
    },
  };
  const part = { name: "unet", outputs: { noise: {} as never }, gives: {} };
  const models = {
    unet: { sessions: { get: async () => new LoadedUNet([{ part, session: session as unknown as Session }]) } },
    vae: { graph: { factor: 8 } },
    tinyVae: undefined,
    device: "cpu",
    unloadAfterUse: false,
  } as unknown as Denoiser;
  const { request } = settle(parseGenerateRequest({ ...base, ...input }), undefined);
  const text = { context: floats(new Float32Array(4), 2, 2), pooled: floats(new Float32Array(2), 2) };
  const prepared: Prepared = { request, texts: { text, identity: undefined, negative: text }, seed: 1 };
  const options: DenoiseOptions = {
    sampler: createSampler(scheduler, undefined, 10),
    dims: [1, 4, 8, 8],
    progress: new Progress(() => {}),
    emit: () => {},
    signal: new AbortController().signal,
  };
  await denoise(models, [prepared], options);
  return rows;
}
const times = (n: number, value: number): number[] => Array<number>(n).fill(value);

test("after the guided share of the steps the negative text is not evaluated", async () => {
  expect(await rowsOf({}, "euler")).toEqual(times(10, 2));
  expect(await rowsOf({ guidanceEnd: 0.4 }, "euler")).toEqual([...times(4, 2), ...times(6, 1)]);
  expect(await rowsOf({ guidanceEnd: 0.7 }, "euler")).toEqual([...times(7, 2), ...times(3, 1)]);
  expect(await rowsOf({ guidanceEnd: 0 }, "euler")).toEqual(times(10, 1));
  expect(await rowsOf({ guidanceScale: 1 }, "euler")).toEqual(times(10, 1));
  expect(await rowsOf({ guidanceScale: 0 }, "euler")).toEqual(times(10, 1));
  expect(await rowsOf({ guidanceEnd: 0.5 }, "heun")).toEqual([...times(10, 2), ...times(9, 1)]); // two evaluations a step
});

test("guidance that never begins is no guidance, and one that never ends is the usual one", async () => {
  const final = async (more: Partial<GenerateInput>) => (await pm.generate({ ...base, ...more })).latents.final;
  expect(await final({ guidanceEnd: 0 })).toEqual(await final({ guidanceScale: 1 }));
  expect(await final({ guidanceEnd: 1 })).toEqual(await final({}));
  const half = await final({ guidanceEnd: 0.5 });
  expect(half).not.toEqual(await final({}));
  expect(half).not.toEqual(await final({ guidanceEnd: 0 }));
});

test("a negative text that is never evaluated is not encoded", async () => {
  const details = async (more: Partial<GenerateInput>) => {
    const seen: (string | undefined)[] = [];
    for await (const event of pm.generate({ ...base, ...more }))
      if (event.type === "progress" && event.phase === "encode") seen.push(event.detail);
    return seen;
  };
  expect(await details({})).toContain("negative text");
  expect(await details({ guidanceScale: 1 })).not.toContain("negative text");
  expect(await details({ guidanceEnd: 0 })).not.toContain("negative text");
});

test("a picture says until when it was guided", async () => {
  const { images } = await pm.generate({ ...base, guidanceEnd: 0.5 });
  const { parameters, settings } = readPngSettings(images[0]!.png);
  expect(parameters).toContain("CFG scale: 5, Guidance end: 0.5, Seed: 1");
  expect(settings).toMatchObject({ guidanceEnd: 0.5 });
});
