import { availableParallelism } from "node:os";
import { parse, relative, sep } from "node:path";
import type { InferenceSession } from "onnxruntime-common";
import { UserError } from "../../core/errors.ts";
import type { Steps } from "../../core/steps.ts";
import { encodeOnnx } from "../../graph/onnx/encode.ts";
import { afterOp, lateParamOp } from "../../graph/ops/after.ts";
import { inOrder } from "../../graph/rewrite.ts";
import { is, type Tensor } from "../../graph/tensor.ts";
import type { ByteSource } from "../../weights/byte-source.ts";
import { FileSource } from "../../weights/file-access.node.ts";
import type { Device } from "../device.ts";
import { halfArithmetic } from "../half-arithmetic.ts";
import { lowerings, withBlocks, withoutAttention } from "../lowerings.ts";

export interface ModelOptions {
  /** Threads for one operation; all cores when absent. */
  readonly threads?: number | undefined;
  readonly device?: Device;
  /** Attention as products and a softmax: for a device whose own attention is wrong. */
  readonly plainAttention?: boolean;
  /** Arithmetic in float16, but for what is sensitive. */
  readonly half?: boolean;
  /** Memory is given back when a value is no longer needed, and not kept for the next one: slower, and the peak is lower. */
  readonly lean?: boolean | undefined;
  /** Memory is laid out beforehand, for sizes that are the same in each run; otherwise the layout comes on top of what is taken anyway. */
  readonly planned?: boolean;
  /** Whether threads stay awake for a while when there is nothing to do: quicker, and not for a process beside which another computes. */
  readonly spin?: boolean;
  /** For convolutions whose weights are inputs: how many channels the processor's kernels want side by side, see channel-block.ts. */
  readonly block?: number | undefined;
}

export interface EncodedModel {
  readonly model: Uint8Array;
  readonly options: InferenceSession.SessionOptions;
}

/** A graph as ONNX Runtime takes it, with the options that its session needs. With pauses. */
export function* encodeModel(
  outputs: Readonly<Record<string, Tensor>>,
  {
    threads,
    device = "cpu",
    plainAttention = false,
    half = false,
    lean = false,
    planned = true,
    spin = true,
    block,
  }: ModelOptions,
): Steps<EncodedModel> {
  const root = new ExternalRoot();
  const known = plainAttention ? withoutAttention(lowerings[device]) : lowerings[device];
  const model = yield* encodeOnnx(outputs, {
    lowerings: withBlocks(known, block),
    arithmetic: half ? halfArithmetic : undefined,
    locate: (file) => root.locate(file),
  });
  const options: InferenceSession.SessionOptions = {
    executionProviders: device === "cpu" ? ["cpu"] : [device, "cpu"],
    intraOpNumThreads: threads ?? availableParallelism(),
    logSeverityLevel: 3,
    enableCpuMemArena: !lean,
    enableMemPattern: planned && !lean,
    extra: {
      session: {
        model_external_initializers_file_folder_path: root.folder,
        ...(!spin && { intra_op: { allow_spinning: "0" } }),
      },
      optimization: { disable_specified_optimizers: unwanted(outputs, device).join(";") },
    },
  };
  return { model, options };
}

/** What ONNX Runtime would do to the graph, and should not. */
const unwanted = (outputs: Readonly<Record<string, Tensor>>, device: Device): string[] => [
  ...(device === "cpu" ? ["BiasGeluFusion"] : []), // takes longer there than the two that it joins
  ...(waits(outputs) ? ["ReshapeFusion"] : []), // would join a reshape that waits for something with the next one, which does not
];

const waits = (outputs: Readonly<Record<string, Tensor>>): boolean =>
  inOrder(Object.values(outputs)).some((t) => is(t, afterOp) || is(t, lateParamOp));

/** ONNX Runtime reads weights only from below one folder: the root of the drive that holds them. */
class ExternalRoot {
  #folder: string | undefined;

  get folder(): string {
    return this.#folder ?? parse(process.cwd()).root;
  }

  locate(file: ByteSource): string {
    if (!(file instanceof FileSource)) throw new TypeError(`ONNX Runtime maps weights from files, and ${file.id} is none`);
    const { root } = parse(file.path);
    this.#folder ??= root;
    if (root !== this.#folder)
      throw new UserError(
        "weights/several-drives",
        `The weight files of one model lie on two drives, ${this.#folder} and ${root}.`,
        "Put the model, its adapter and its LoRAs on the same drive.",
      );
    return relative(root, file.path).split(sep).join("/");
  }
}
