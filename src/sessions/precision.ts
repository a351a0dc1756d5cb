import type { LoadOptions } from "../contract/request.ts";
import { UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";
import type { Device } from "../runtime/device.ts";
import type { WeightRange } from "../runtime/eight-bit-probe.ts";
import type { PrepareWeights, ToPrepare } from "../runtime/prepare.ts";
import { hasComputed, preparingOf, withComputed } from "./computed-weights.ts";
import type { Outputs } from "./graphs.ts";
import type { Prepare } from "./lazy-session.ts";
import { gb, type ProcessorPrecision } from "./memory.ts";

export type Precision = "f32" | "f16" | "int8";

/** Parameters of the UNet from which 8 bits are worth the preparing: SDXL has 2.6e9, distilled ones half of that. */
const LARGE = 3e8;

/**
 * Where the models run: without a wish, on the processor, which is everywhere.
 * @throws UserError precision/not-on-device
 */
export function chooseDevice({ device: wished, precision }: Pick<LoadOptions, "device" | "precision">): Device {
  const device = wished === "auto" ? "cpu" : wished;
  if (device !== "cpu" && precision === "int8")
    throw new UserError(
      "precision/not-on-device",
      `The precision int8 is for the processor, and the device ${device} is asked for.`,
      `Take f16 or f32 with ${device}, or the device cpu with int8.`,
    );
  if (device === "cpu" && precision === "f16")
    throw new UserError(
      "precision/not-on-device",
      "The precision f16 is for graphics cards: the processor has no arithmetic in half precision.",
      "Take int8 or f32, or the device webgpu or cuda with f16. Models that are stored in half precision run with each of them.",
    );
  return device;
}

export interface ChosenPrecision {
  readonly precision: Precision;
  /** Of which weights products in int8 are right. */
  readonly weightRange?: WeightRange;
  readonly notices: readonly Notice[];
}

/**
 * How the models run. Without a wish a large model on the processor in 8 bits, which takes a third of the time and of the memory, and
 * everything else in float32, whose numbers are the reference's.
 * Without a wish a smaller one, too, if only so it fits into the processor's memory.
 * @param device that {@link chooseDevice} has chosen
 * @param size numbers in the UNet
 * @param room what drawing takes, in bytes, and what there is
 * @param probe which products in 8 bits are right here, if any: asked only where they are wanted
 * @throws UserError precision/int8-wrong
 */
export async function choosePrecision(
  { device: wished, precision: wanted }: LoadOptions,
  device: Device,
  size: number,
  room: { readonly about: Readonly<Record<ProcessorPrecision, number>>; readonly available: number },
  probe: () => Promise<WeightRange | undefined>,
): Promise<ChosenPrecision> {
  const { about, available } = room;
  const tight = about.f32 > available && about.int8 <= available;
  const eight = wanted === "int8" || (wanted === "auto" && device === "cpu" && (size >= LARGE || tight));
  const weightRange = eight ? await probe() : undefined;
  if (wanted === "int8" && weightRange === undefined)
    throw new UserError("precision/int8-wrong", `${WRONG}, so that pictures in int8 would be wrong.`, "Take --precision f32.");
  const precision = wanted !== "auto" ? wanted : weightRange === undefined ? "f32" : "int8";
  const notices: Notice[] = [];
  if (wished === "auto" || wanted === "auto") {
    const large =
      size >= LARGE
        ? `the UNet has ${(size / 1e9).toFixed(1)} billion numbers`
        : `float32 needs about ${gb(about.f32)} of memory, and ${gb(available)} are available`;
    const why =
      wanted !== "auto" || !eight
        ? ""
        : weightRange === undefined
          ? `: ${large} and would be in int8, but ${WRONG}`
          : `, since ${large}${available < about.f32 ? "" : `; ${f32Takes(weightRange)}`}`;
    const message = `Runs on ${device === "cpu" ? "the processor (cpu)" : device} in ${precision}${why}.`;
    notices.push({ code: "device/chosen", message });
  }
  if (weightRange === "paired") notices.push({ code: "precision/paired", message: PAIRED });
  return { precision, notices, ...(weightRange && { weightRange }) };
}

const f32Takes = (weightRange: WeightRange): string =>
  `--precision f32 gives the reference's pictures, in about ${weightRange === "paired" ? "one and a half times the time and three times the memory" : "three times the time and memory"}`;
const WRONG = "ONNX Runtime's products of whole numbers are wrong on this processor";
const PAIRED =
  "This processor has no VNNI: weights in 8 bits are rounded a little more coarsely, so that its products of them are right, and the gain in time is smaller.";

/**
 * How a model becomes its graph in 8 bits: prepared once, and kept.
 * @param outputs a graph over the same weights, where not the whole one is wanted
 * @param prepare, compute of the runtime; what is not in 8 bits may have to be computed
 */
export const inEightBits =
  <Name extends string>(
    whole: ToPrepare,
    outputs: Outputs<Name>,
    prepare: PrepareWeights,
    compute: PrepareWeights,
  ): Prepare<Name> =>
  async (observer) => {
    const { over, keep } = await prepare(whole, preparingOf(whole.model, observer));
    if (!hasComputed(whole.outputs)) return { outputs: over(outputs), keep };
    const rest = { ...whole, outputs: over(whole.outputs) };
    const computed = await withComputed(rest, over(outputs), compute)(observer);
    return { ...computed, keep };
  };
