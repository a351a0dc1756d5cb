import { peopleOf, type WithPeople } from "../../contract/person.ts";
import { type FloatArray, floats, integers, type NdArray } from "../../core/array.ts";
import { UserError } from "../../core/errors.ts";
import { hasAttention, type UNetConfig } from "../../models/unet.ts";
import type { Feeds } from "../../runtime/runtime.ts";
import type { CrossAttentionLayer } from "../../sessions/graphs.ts";
import type { GatedSession } from "../../sessions/unet-sessions.ts";
import type { SettledRequest } from "../settle.ts";
import type { Conditioning, UNet } from "./denoiser.ts";
import { mergeStepOf } from "./merge-step.ts";

/** One row of a cross-attention layer's answer. */
interface Row {
  readonly dims: readonly number[]; // [S, C]
  readonly data: Float32Array;
}

/**
 * A UNet that from the evaluation `gate` on, counted from 0, no longer looks at the text: what its cross-attention layers said in the
 * one before, the mean of both texts, stands in for them, and there is no more guidance. Zhang et al. 2024 (arXiv 2404.02747),
 * section 3. One object serves one drawing.
 * @see HaozheLiu-ST/T-GATE tgate/tgate_utils.py, without the reuse of self-attention
 */
export class TGate implements UNet {
  readonly #session: GatedSession["session"];
  readonly #layers: readonly CrossAttentionLayer[];
  readonly #gate: number;
  readonly #images: number;
  /** Of each layer: first of each row as it comes, then of each picture. */
  #rows: Row[][];
  #index = 0;
  /** Of the pictures that this evaluation has come to. */
  #at = 0;

  constructor({ session, layers }: GatedSession, gate: number, images: number) {
    this.#session = session;
    this.#layers = layers;
    this.#gate = gate;
    this.#images = images;
    this.#rows = layers.map(() => []);
  }

  /**
   * To be called before each evaluation.
   * @param index of the evaluation, from 0
   * @returns how it is to be made
   */
  begin(index: number, conditioning: Conditioning): Conditioning {
    this.#index = index;
    this.#at = 0;
    if (index < this.#gate) {
      this.#rows = this.#layers.map(() => []);
      return conditioning;
    }
    if (index === this.#gate) this.#rows = this.#rows.map((rows) => means(rows, this.#images));
    return { ...conditioning, guidanceScale: 1, timeIds: conditioning.timeIds.slice(-this.#images) };
  }

  async run(feeds: Feeds): Promise<{ readonly noise: NdArray }> {
    const [count, , height, width] = feeds.latents!.dims as [number, number, number, number];
    if (this.#index >= this.#gate) {
      const at = this.#at;
      this.#at += count;
      const given = this.#rows.map((rows) => stacked(rows.slice(at, at + count)));
      const context = firstToken(feeds.context as FloatArray); // nothing of it is used
      const { noise } = await this.#session.run({ ...feeds, context, ...this.#named(given), queries: integers([1], 1) }, [
        "noise",
      ]);
      return { noise: noise! };
    }
    const nothing = this.#layers.map(({ width }) => floats(new Float32Array(0), count, 0, width));
    const all = { ...feeds, ...this.#named(nothing), queries: integers([height * width], 1) };
    const isLast = this.#index === this.#gate - 1;
    const names = this.#layers.map(({ path }) => `said.${path}`);
    const out = await this.#session.run(all, isLast ? ["noise", ...names] : ["noise"]);
    if (isLast) for (const [i, name] of names.entries()) this.#rows[i]!.push(...rowsOf(out[name] as FloatArray));
    return { noise: out.noise! };
  }

  #named(values: readonly NdArray[]): Feeds {
    return Object.fromEntries(this.#layers.map(({ path }, i) => [`given.${path}`, values[i]!]));
  }
}

function rowsOf({ dims: [count, ...dims], data }: FloatArray): Row[] {
  const size = data.length / count!;
  return Array.from({ length: count! }, (_, i) => ({ dims, data: data.subarray(i * size, (i + 1) * size) }));
}

/** With guidance the first half of the rows are the negative text's: each picture gets the mean of its two. */
function means(rows: readonly Row[], images: number): Row[] {
  if (rows.length === images) return [...rows];
  return rows.slice(0, images).map(({ dims, data }, i) => {
    const other = rows[images + i]!.data;
    return { dims, data: data.map((v, k) => (v + other[k]!) / 2) };
  });
}

function stacked(rows: readonly Row[]): FloatArray {
  const [{ dims, data: first }] = rows as [Row];
  if (rows.length === 1) return floats(first, 1, ...dims);
  const data = new Float32Array(first.length * rows.length);
  for (const [i, row] of rows.entries()) data.set(row.data, i * first.length);
  return floats(data, rows.length, ...dims);
}

function firstToken({ dims: [count, tokens, width], data }: FloatArray): FloatArray {
  const out = new Float32Array(count! * width!);
  for (let i = 0; i < count!; i++) out.set(data.subarray(i * tokens! * width!, (i * tokens! + 1) * width!), i * width!);
  return floats(out, count!, 1, width!);
}

/** @throws UserError t-gate/no-cross-attention, t-gate/before-person, t-gate/never, t-gate/with-deep-cache */
export function checkTGate(
  request: Pick<SettledRequest, "tGate" | "deepCache" | "startMergeStep" | "styleStrength" | "numInferenceSteps"> & WithPeople,
  config: UNetConfig,
  evaluations: number,
): void {
  const { tGate, deepCache } = request;
  if (tGate === undefined) return;
  if (!hasAttention(config))
    throw new UserError(
      "t-gate/no-cross-attention",
      "T-GATE is asked for, and this model's UNet has no cross-attention.",
      "Leave T-GATE out.",
    );
  if (deepCache !== undefined)
    throw new UserError("t-gate/with-deep-cache", "DeepCache and T-GATE cannot be had together.", "Leave one of them out.");
  if (tGate >= evaluations)
    throw new UserError(
      "t-gate/never",
      `T-GATE is to begin at evaluation ${tGate}, and there are ${evaluations}, counted from 0.`,
      `Give a smaller number, such as ${Math.max(1, Math.floor(evaluations / 2))}, or leave T-GATE out.`,
    );
  const mergeStep = mergeStepOf(request);
  if (peopleOf(request).length > 0 && tGate < mergeStep + 2)
    throw new UserError(
      "t-gate/before-person",
      `T-GATE is to begin at evaluation ${tGate}, and the person comes in after evaluation ${mergeStep}: the text with the person would not be looked at.`,
      `Let T-GATE begin at ${mergeStep + 2} or later, or the person come in earlier.`,
    );
}
