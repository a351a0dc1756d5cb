import type { Notice } from "../core/notice.ts";
import type { Device } from "../runtime/encode-model.ts";
import { cacheSettings } from "../runtime/prepare/cache-folder.ts";
import { prepare } from "../runtime/prepare/prepare.ts";
import { elementCount, type Tensors } from "../weights/index.ts";
import type { Outputs, Unfinished } from "./graphs.ts";
import type { Prepare } from "./lazy-session.ts";
import type { LoadOptions } from "./request.ts";

export type Precision = "f32" | "int8";

/** Parameters of the UNet from which 8 bits are worth the preparing: SDXL has 2.6e9, distilled ones half of that. */
const LARGE = 3e8;

export interface Chosen {
  readonly device: Device;
  readonly precision: Precision;
  readonly notices: readonly Notice[];
}

/**
 * Where and how the models run. Without a wish, the processor: it is everywhere; a large model there in 8 bits, which takes a third of the
 * time and of the memory, a small one in float32, whose numbers are the reference's.
 */
export function chooseDevice({ device: wished, precision: wanted }: LoadOptions, unet: Tensors): Chosen {
  const device = wished === "auto" ? "cpu" : wished;
  const size = [...unet.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const precision = wanted !== "auto" ? wanted : device === "cpu" && size >= LARGE ? "int8" : "f32";
  if (wished !== "auto" && wanted !== "auto") return { device, precision, notices: [] };
  const why =
    wanted === "auto" && precision === "int8"
      ? `, since the UNet has ${(size / 1e9).toFixed(1)} billion numbers; --precision f32 gives the reference's pictures, in about three times the time and memory`
      : "";
  const message = `Runs on the ${device === "cpu" ? "processor (cpu)" : device} in ${precision}${why}.`;
  return { device, precision, notices: [{ code: "device/chosen", message }] };
}

/**
 * How a model becomes its graph in 8 bits: prepared once, and kept in the user's cache folder.
 * @param outputs a graph over the same weights, where not the whole one is wanted
 */
export function inEightBits<Name extends string>(
  model: string,
  from: string,
  whole: { readonly outputs: Outputs; readonly pairs: Unfinished["pairs"] },
  outputs: Outputs<Name>,
): Prepare<Name> {
  return async (observer) => {
    const over = await prepare(
      { model, from, ...whole },
      {
        cache: cacheSettings(),
        onProgress: (done, total) => observer.preparing(model, done, total),
        onNote: (message) => observer.noted({ code: "cache/prepared-again", message }),
      },
    );
    return over(outputs);
  };
}
