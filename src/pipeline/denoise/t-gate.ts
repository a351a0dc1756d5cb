import { peopleOf, type WithPeople } from "../../contract/person.ts";
import { type FloatArray, floats, integers, type NdArray } from "../../core/array.ts";
import { UserError } from "../../core/errors.ts";
import { type CrossAttentionLayer, gateCrossAttention as gated, gatedLayers, givenTo, saidBy } from "../../models/t-gate.ts";
import { hasAttention, type UNetConfig } from "../../models/unet.ts";
import type { Feeds } from "../../runtime/runtime.ts";
import type { UNetPart } from "../../sessions/unet-form.ts";
import type { SettledRequest } from "../settle.ts";
import { DEEP_CACHE } from "./deep-cache.ts";
import type { ActiveExtension, Run, UNetExtension } from "./extension.ts";
import type { Evaluation, Guidance } from "./guidance.ts";
import { mergeStepOf } from "./merge-step.ts";

/** Lets the UNet be told what its cross-attention layers say, see {@link TGate}. */
export function tGate(request: SettledRequest): UNetExtension | undefined {
  const { tGate: gate } = request;
  if (gate === undefined) return undefined;
  return {
    ...{ name: "t-gate", key: "t-gate", rewrite: gated },
    check({ config, evaluations, beside }) {
      if (beside.has(DEEP_CACHE))
        throw new UserError("t-gate/with-deep-cache", "DeepCache and T-GATE cannot be had together.", "Leave one of them out.");
      checkTGate(request, config, evaluations);
    },
    start: (parts) => new TGate(parts, gate),
  };
}

/** One row of a cross-attention layer's answer. */
interface Row {
  readonly dims: readonly number[]; // [S, C]
  readonly data: Float32Array;
}

/**
 * From the evaluation `gate` on, counted from 0, the UNet no longer looks at the text: what its cross-attention layers said in the
 * one before, the mean of both texts, stands in for them, and there is no more guidance. Zhang et al. 2024 (arXiv 2404.02747),
 * section 3. A run that begins at the gate or behind it, as of a picture to start from, looks at the text in its first evaluation.
 * @see HaozheLiu-ST/T-GATE tgate/tgate_utils.py, without the reuse of self-attention
 */
export class TGate implements ActiveExtension {
  readonly #layers: readonly CrossAttentionLayer[];
  readonly #gate: number;
  /** What each layer said to each row in the last evaluation that looked at the text. */
  #said: Row[][];
  /** That evaluation; undefined before. */
  #seen: Evaluation | undefined;
  /** What stands for the answers of each layer, in the evaluations that do not look at the text. */
  #instead: Row[][] | undefined;

  /** @param parts graphs in which cross-attention layers can be told what they say */
  constructor(parts: readonly Pick<UNetPart, "outputs">[], gate: number) {
    this.#layers = parts.flatMap(({ outputs }) => gatedLayers(outputs));
    this.#gate = gate;
    this.#said = this.#layers.map(() => []);
  }

  guide(guidance: Guidance, at: Evaluation): Guidance {
    const seen = this.#seen;
    if (at.index < this.#gate || seen === undefined) return guidance;
    this.#instead ??= this.#said.map((rows) => {
      const values = guidance.mean(
        rows.map(({ data }) => data),
        seen,
      );
      return values.map((data) => ({ dims: rows[0]!.dims, data }));
    });
    return guidance.unguided;
  }

  feeds({ latents, context }: Feeds, { rows, from }: Run): Feeds {
    if (this.#instead !== undefined) {
      const given = this.#instead.map((said) => stacked(said.slice(from, from + rows.length)));
      const one = integers([1], 1);
      return { context: firstToken(context as FloatArray), ...this.#named(given), queries: one, keys: one }; // nothing of the context is used
    }
    const [count, , height, width] = latents!.dims as [number, number, number, number];
    const nothing = this.#layers.map((layer) => floats(new Float32Array(0), count, 0, layer.width));
    return { ...this.#named(nothing), queries: integers([height * width], 1), keys: integers([context!.dims[1]!], 1) };
  }

  wants({ at }: Run): readonly string[] {
    const keeps = at.index >= this.#gate - 1 && this.#instead === undefined;
    return keeps ? this.#layers.map(({ path }) => saidBy(path)) : [];
  }

  took(answer: Feeds, run: Run): void {
    const wanted = this.wants(run);
    if (wanted.length === 0) return;
    if (run.from === 0) this.#said = this.#layers.map(() => []);
    for (const [i, name] of wanted.entries()) this.#said[i]!.push(...rowsOf(answer[name] as FloatArray));
    this.#seen = run.at;
  }

  #named(values: readonly NdArray[]): Feeds {
    return Object.fromEntries(this.#layers.map(({ path }, i) => [givenTo(path), values[i]!]));
  }
}

function rowsOf({ dims: [count, ...dims], data }: FloatArray): Row[] {
  const size = data.length / count!;
  return Array.from({ length: count! }, (_, i) => ({ dims, data: data.subarray(i * size, (i + 1) * size) }));
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

/** @throws UserError t-gate/no-cross-attention, t-gate/before-person, t-gate/never */
export function checkTGate(
  request: Pick<SettledRequest, "tGate" | "startMergeStep" | "styleStrength" | "numInferenceSteps"> & WithPeople,
  config: UNetConfig,
  evaluations: number,
): void {
  const { tGate } = request;
  if (tGate === undefined) return;
  if (!hasAttention(config))
    throw new UserError(
      "t-gate/no-cross-attention",
      "T-GATE is asked for, and this model's UNet has no cross-attention.",
      "Leave T-GATE out.",
    );
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
