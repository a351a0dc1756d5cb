import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import type { GenerateInput } from "../../contract/request.ts";
import { floats } from "../../core/array.ts";
import type { SymbolicDim } from "../../graph/dim.ts";
import { attentionOp, biasedAttention } from "../../graph/ops/attention.ts";
import { add } from "../../graph/ops/elementwise.ts";
import { input, inputOp } from "../../graph/ops/source.ts";
import { inOrder, rewriteNamed } from "../../graph/rewrite.ts";
import { fixedSize, is, size, type Tensor } from "../../graph/tensor.ts";
import { skipJoins } from "../../models/skip-joins.ts";
import type { UNetPart } from "../../sessions/unet-form.ts";
import { MAN_WITH_HAT, TINY_V1 } from "../../testing/tiny-model.ts";
import { PhotoMaker } from "../photomaker.ts";
import type { UNetExtension } from "./extension.ts";
import type { Told } from "./guidance.ts";

/** Extensions that every request has beside its own. */
const made = vi.hoisted(() => ({ up: [] as UNetExtension[] }));
vi.mock("./extensions.ts", async (original) => {
  const actual = await original<typeof import("./extensions.ts")>();
  return { ...actual, extensionsOf: (request: never) => [...made.up, ...actual.extensionsOf(request)] };
});
afterEach(() => {
  made.up = [];
});
const cache = await mkdtemp(join(tmpdir(), "extensions-"));
vi.stubEnv("PHOTOMAKER_CACHE", cache);
afterAll(() => rm(cache, { recursive: true }));

const [height, width] = [9, 8]; // of the latents
const base: GenerateInput = { ...MAN_WITH_HAT, width: 8 * width, height: 8 * height, numInferenceSteps: 4, startMergeStep: 0 };
const SHORTCUTS: Record<string, Partial<GenerateInput>> = {
  none: {},
  DeepCache: { deepCache: 2 },
  "token downsampling": { tokenDownsampling: 2 },
  "both of these": { deepCache: 2, tokenDownsampling: 2 },
  "T-GATE": { tGate: 3 },
};

/** The inputs of loaded graphs whose names begin so. */
const inputsOf = (parts: readonly UNetPart[], prefix: string): Tensor<{ name: string }>[] =>
  inOrder(parts.flatMap(({ outputs }) => Object.values(outputs))).flatMap((t) =>
    is(t, inputOp) && t.attrs.name.startsWith(prefix) ? [t] : [],
  );

/** As a ControlNet's residual: an input that is added to what the middle block gives, as strong as is said of each row. */
const residual = (strength: (row: Told) => number): UNetExtension => ({
  ...{ name: "residual", key: "residual" },
  rewrite(outputs) {
    const deepest = skipJoins(Object.values(outputs))[0]!;
    const [below, skip] = deepest.inputs as [Tensor, Tensor];
    const changed = add(below, input("residual.mid", below.shape));
    return rewriteNamed(outputs, (t) => (t === deepest ? { ...t, inputs: [changed, skip] } : undefined));
  },
  start: (parts) => ({
    feeds(_, { rows }) {
      const [channels, h, w] = [fixedSize(inputsOf(parts, "residual.mid")[0]!, 1), Math.ceil(height / 4), Math.ceil(width / 4)];
      const values = rows.flatMap((row) => Array<number>(channels * h * w).fill(strength(row)));
      return { "residual.mid": floats(Float32Array.from(values), rows.length, channels, h, w) };
    },
  }),
});

/** As the mask of a region: a bias for each pixel and each word of every cross-attention layer, here the same for every other word. */
const mask = (bias: number): UNetExtension => ({
  ...{ name: "mask", key: "mask" },
  rewrite(outputs) {
    const biases = new Map<string, Tensor>();
    return rewriteNamed(outputs, (t) => {
      if (!is(t, attentionOp)) return undefined;
      const [q, k, v] = t.inputs as [Tensor, Tensor, Tensor];
      const [pixels, tokens] = [size(q, 1) as SymbolicDim, size(k, 1) as SymbolicDim];
      if (tokens.key !== "tokens") return undefined;
      const bias = biases.get(pixels.key) ?? input(`mask.${pixels.key}`, [1, 1, pixels, tokens]);
      biases.set(pixels.key, bias);
      return biasedAttention(q, k, v, bias, t.attrs);
    });
  },
  start: (parts) => ({
    feeds: ({ context }) => {
      const tokens = context!.dims[1]!;
      const named = inputsOf(parts, "mask.").map(({ attrs: { name } }) => {
        const halvings = name.split("ceil").length >> 1; // of height and of width
        const count = Math.ceil(height / 2 ** halvings) * Math.ceil(width / 2 ** halvings);
        const values = Float32Array.from({ length: count * tokens }, (_, i) => ((i % tokens) % 2 === 0 ? bias : 0));
        return [name, floats(values, 1, 1, count, tokens)] as const;
      });
      return Object.fromEntries(named);
    },
  }),
});

describe.each(["f32", "int8"] as const)("%s: extensions that were made up join those that are there", (precision) => {
  const shortcuts = precision === "f32" ? Object.keys(SHORTCUTS) : ["none", "both of these"];

  test.each(shortcuts)("%s: a residual of zeros gives the plain picture to the bit, another a different one", async (name) => {
    await using pm = await PhotoMaker.load({ ...TINY_V1, precision });
    const final = async (...extensions: UNetExtension[]) => {
      made.up = extensions;
      return (await pm.generate({ ...base, ...SHORTCUTS[name] })).latents.final;
    };
    const plain = await final();
    expect(await final(residual(() => 0))).toEqual(plain);
    expect(await final(residual(() => 0.5))).not.toEqual(plain);
  });

  test.each(shortcuts)("%s: a bias of zeros on all cross-attention hardly changes the picture, another does", async (name) => {
    await using pm = await PhotoMaker.load({ ...TINY_V1, precision });
    const final = async (...extensions: UNetExtension[]) => {
      made.up = extensions;
      return (await pm.generate({ ...base, ...SHORTCUTS[name] })).latents.final;
    };
    const plain = await final();
    const off = (latents: Float32Array) => Math.max(...latents.map((v, i) => Math.abs(v - plain[i]!)));
    const [none, some, both] = [
      await final(mask(0)),
      await final(mask(-4)),
      await final(
        residual(() => 0),
        mask(-4),
      ),
    ];
    expect(off(none)).toBeLessThan(off(some) / 20);
    expect(both).toEqual(some);
  });
});

test("an extension sees which row is whose", async () => {
  await using pm = await PhotoMaker.load(TINY_V1);
  const final = async (...extensions: UNetExtension[]) => {
    made.up = extensions;
    const { final, dims } = (await pm.generate({ ...base, numImagesPerPrompt: 2 })).latents;
    return [0, 1].map((i) => final.subarray((i * final.length) / dims[0]!, ((i + 1) * final.length) / dims[0]!));
  };
  const plain = await final();
  const [first, second] = await final(residual(({ picture }) => picture * 0.5));
  expect(first).toEqual(plain[0]);
  expect(second).not.toEqual(plain[1]);
});

test("the keys of all extensions name the form, so that one that is in memory is not loaded again", async () => {
  await using pm = await PhotoMaker.load(TINY_V1);
  const loaded = async (more: Partial<GenerateInput>, ...extensions: UNetExtension[]) => {
    made.up = extensions;
    return Object.keys((await pm.generate({ ...base, ...more, numInferenceSteps: 1 })).timings.load).filter((name) =>
      name.startsWith("unet"),
    );
  };
  const none = residual(() => 0);
  expect(await loaded({}, none)).toEqual(["unet"]);
  expect(
    await loaded(
      {},
      residual(() => 1),
    ),
  ).toEqual([]);
  expect(await loaded({ deepCache: 2 }, none)).toEqual(["unet: deep layers", "unet: outer layers"]);
  expect(await loaded({}, none)).toEqual([]); // the parts serve
  expect(await loaded({})).toEqual(["unet"]); // and not without the residual, which they need
});
