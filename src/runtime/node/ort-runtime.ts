import type { NdArray } from "../../core/array.ts";
import { messageOf, UserError } from "../../core/errors.ts";
import { inTurns } from "../../core/steps.ts";
import { rewriteNamed } from "../../graph/rewrite.ts";
import { splitUpsampling } from "../../graph/split-upsampling.ts";
import type { Tensor } from "../../graph/tensor.ts";
import { deviceFailed } from "../device.ts";
import type { Feeds, PackedCache, Runtime, Session } from "../runtime.ts";
import { type EncodedModel, encodeModel, foreignModelOptions, type ModelOptions } from "./encode-model.ts";
import { MemoryGauge } from "./memory-gauge.ts";
import { ModelProcess, type Question } from "./model-process.ts";
import { checkHalf, type OpenDevice, openDevice } from "./open-device.ts";
import { loadPacked } from "./prepare/packed.ts";

/**
 * Creates a runtime with ONNX Runtime in a process of its own, which handles one request at a time. If the process ends, models are loaded again
 * in a new one when they next run; likewise after a failure on a device other than the processor, since a lost device loses all models.
 *
 * @param gauge memory gauge, shared by runtimes whose memory is counted together
 */
export function ortRuntime(
  how: Omit<ModelOptions, "plainAttention" | "half" | "planned"> = {},
  gauge = new MemoryGauge(),
): Runtime {
  const { device = "cpu" } = how;
  let current: { readonly process: ModelProcess; readonly opened: Promise<OpenDevice> } | undefined;
  let closed = false;
  let sessions = 0;

  function home(): NonNullable<typeof current> {
    if (closed) throw new Error("the runtime was closed");
    if (current?.process.alive !== true) {
      const process = new ModelProcess(gauge);
      const opened = device === "cpu" ? Promise.resolve({ notices: [] }) : openDevice(process, device);
      current = { process, opened };
    }
    return current;
  }

  async function asked(process: ModelProcess, question: Question): Promise<unknown> {
    try {
      return await process.ask(question);
    } catch (error) {
      if (device === "cpu" || error instanceof UserError || !process.alive) throw error;
      const failed = deviceFailed(device, messageOf(error));
      await process.end(failed);
      throw failed;
    }
  }

  /** Opens a session, and again in a new process where the old one has ended. */
  async function opened<Output extends string>(
    session: number,
    all: readonly Output[],
    open: () => Promise<ModelProcess>,
  ): Promise<Session<Output>> {
    let where: Promise<ModelProcess> | undefined = open();
    await where;
    return {
      async run<Name extends Output>(feeds: Feeds, names?: readonly Name[]) {
        if (where === undefined) throw new Error("the session was released");
        const alive = where.then(
          (process) => process.alive,
          () => false,
        );
        if (!(await alive)) where = open();
        const process = await where;
        const value = await asked(process, { kind: "run", session, feeds, fetches: names ?? all });
        return value as Record<Name, NdArray>;
      },
      async close() {
        const process = await where?.catch(() => undefined);
        where = undefined;
        if (process?.alive) await process.ask({ kind: "release", session });
      },
    };
  }

  return {
    async open({ half } = { half: false }) {
      if (device === "cpu") return [];
      const { process, opened } = home();
      const { notices } = await opened;
      if (half) await checkHalf(process, device);
      return notices;
    },
    async load<Output extends string>(
      outputs: Readonly<Record<Output, Tensor>>,
      { half } = { half: false },
      keep?: PackedCache,
    ): Promise<Session<Output>> {
      const session = sessions++;
      return opened(session, Object.keys(outputs) as Output[], async () => {
        const { process, opened } = home();
        const { plainAttention = false } = await opened;
        const encoded = await inTurns(
          encodeModel(device === "cpu" ? rewriteNamed(outputs, splitUpsampling) : outputs, {
            ...how,
            plainAttention,
            half,
            planned: false,
          }),
        );
        const hand = async (model: EncodedModel): Promise<void> => {
          await asked(process, { kind: "load", session, ...model });
        };
        await (keep !== undefined && device === "cpu" ? loadPacked(encoded, keep, hand) : hand(encoded));
        return process;
      });
    },
    loadOnnx<Output extends string>(model: Uint8Array | string, outputs: readonly Output[]): Promise<Session<Output>> {
      const session = sessions++;
      return opened(session, outputs, async () => {
        const { process } = home();
        await asked(process, { kind: "load", session, model, options: foreignModelOptions(how.threads) });
        return process;
      });
    },
    peakMemory: () => gauge.peak,
    async close() {
      closed = true;
      await current?.process.end(new Error("the runtime was closed"));
    },
  };
}
