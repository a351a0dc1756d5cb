import { availableParallelism } from "node:os";
import { parse, relative, sep } from "node:path";
import type { InferenceSession } from "onnxruntime-common";
import { UserError } from "../../core/errors.ts";
import type { Steps } from "../../core/steps.ts";
import { encodeOnnx } from "../../graph/onnx/encode.ts";
import { afterOp, widenedParamOp } from "../../graph/ops/after.ts";
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
  /** Whether to compute attention by products and a softmax, for a device whose own attention is wrong. */
  readonly plainAttention?: boolean;
  /** Whether to compute in float16, except for operations that are sensitive to it. */
  readonly half?: boolean;
  /** Whether to free memory as soon as a value is no longer needed, instead of reusing it: slower, with a lower peak. */
  readonly lean?: boolean | undefined;
  /** Whether to plan memory ahead, for sizes that are the same in each run; for other sizes the plan only adds to the memory. */
  readonly planned?: boolean;
  /** Whether idle threads spin for a while: faster, unless another process computes at the same time. */
  readonly spin?: boolean;
  /** Channels per block in the processor's kernels, for convolutions whose weights are inputs: see channel-block.ts. */
  readonly block?: number | undefined;
}

export interface EncodedModel {
  readonly model: Uint8Array;
  readonly options: InferenceSession.SessionOptions;
}

/** Encodes a graph for ONNX Runtime, with the options of its session, in steps. */
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
    logSeverityLevel: 4, // errors are thrown instead, with a remedy
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

/** Options for a model that another program has written. */
export const foreignModelOptions = (threads?: number): InferenceSession.SessionOptions => ({
  executionProviders: ["cpu"],
  intraOpNumThreads: threads ?? availableParallelism(),
  logSeverityLevel: 4,
  enableMemPattern: false, // sizes may differ from run to run
});

/** ONNX Runtime's optimisations that are switched off. */
const unwanted = (outputs: Readonly<Record<string, Tensor>>, device: Device): string[] => [
  ...(device === "cpu" ? ["BiasGeluFusion"] : []), // the fused operation is slower there than the two separate ones
  ...(waits(outputs) ? ["ReshapeFusion"] : []), // it would merge a reshape that waits for another value with the next one, which does not wait
];

const waits = (outputs: Readonly<Record<string, Tensor>>): boolean =>
  inOrder(Object.values(outputs)).some((t) => is(t, afterOp) || is(t, widenedParamOp));

/** The one folder below which ONNX Runtime looks for weight files: the root of the drive that holds them. */
class ExternalRoot {
  #folder: string | undefined;

  get folder(): string {
    return this.#folder ?? parse(process.cwd()).root;
  }

  locate(file: ByteSource): string {
    if (!(file instanceof FileSource)) throw new TypeError(`ONNX Runtime maps weights from files, and ${file.id} is not a file`);
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
