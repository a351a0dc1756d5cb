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

/** Parameters of a UNet that make preparing 8-bit weights worthwhile: SDXL has 2.6e9, distilled models half of that. */
const LARGE = 3e8;

/**
 * Chooses the device: by default the processor, which every machine has.
 * @throws UserError precision/not-on-device
 */
export function chooseDevice({ device: wished, precision }: Pick<LoadOptions, "device" | "precision">): Device {
  const device = wished === "auto" ? "cpu" : wished;
  if (device !== "cpu" && precision === "int8")
    throw new UserError(
      "precision/not-on-device",
      `The precision int8 is for the processor, and the device is ${device}.`,
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
  /** Range of 8-bit weights whose products are correct; absent if none is, or in other precisions. */
  readonly weightRange?: WeightRange;
  readonly notices: readonly Notice[];
}

/**
 * Chooses the precision. By default a large model on the processor runs in 8 bits, which takes a third of the time and of the memory, and so
 * does a smaller one that fits into memory only that way. Everything else runs in float32, whose numbers are the reference's.
 * @param device that {@link chooseDevice} has chosen
 * @param size parameters of the UNet
 * @param room memory that drawing takes and available memory, in bytes
 * @param probe finds the range of 8-bit weights whose products are correct here, if any; called only where 8 bits are wanted
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
        ? `the UNet has ${(size / 1e9).toFixed(1)} billion parameters`
        : `float32 needs about ${gb(about.f32)} of memory, and ${gb(available)} are available`;
    const why =
      wanted !== "auto" || !eight
        ? ""
        : weightRange === undefined
          ? `: ${large}, which asks for int8, but ${WRONG}`
          : `, since ${large}${available < about.f32 ? "" : `; ${f32Takes(weightRange)}`}`;
    const message = `Runs on ${device === "cpu" ? "the processor (cpu)" : device} in ${precision}${why}.`;
    notices.push({ code: "device/chosen", message });
  }
  if (weightRange === "paired") notices.push({ code: "precision/paired", message: PAIRED });
  return { precision, notices, ...(weightRange && { weightRange }) };
}

const f32Takes = (weightRange: WeightRange): string =>
  `--precision f32 gives the reference's pictures, in about ${weightRange === "paired" ? "one and a half times the time and three times the memory" : "three times the time and memory"}`;
const WRONG = "ONNX Runtime's integer products are wrong on this processor";
const PAIRED =
  "This processor has no VNNI: 8-bit weights are rounded a little more coarsely to keep its products correct, and int8 saves less time.";

/**
 * Makes the `prepare` of a model in 8 bits: weights are prepared once and cached.
 * @param whole the whole model, from which the prepared weights are named
 * @param outputs the graph to load, over the same weights
 * @param prepare the runtime's function that prepares weights
 * @param compute the runtime's function that computes weights, for changed ones that stay out of 8 bits
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
