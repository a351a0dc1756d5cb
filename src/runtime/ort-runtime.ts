import type { NdArray } from "../core/array.ts";
import { inTurns } from "../core/steps.ts";
import type { Tensor } from "../graph/tensor.ts";
import { encodeModel, type ModelOptions } from "./encode-model.ts";
import { ModelProcess } from "./model-process.ts";
import type { Feeds, Runtime, Session } from "./runtime.ts";

/** ONNX Runtime in a process of its own. If that ends, models are loaded again, in a new one, when they are next run. */
export function ortRuntime(how: ModelOptions = {}): Runtime {
  let current: ModelProcess | undefined;
  let closed = false;
  let sessions = 0;
  let peakMemory = 0;

  function home(): ModelProcess {
    if (closed) throw new Error("the runtime was closed");
    if (current?.alive !== true) current = new ModelProcess();
    return current;
  }

  return {
    async load<Output extends string>(outputs: Readonly<Record<Output, Tensor>>): Promise<Session<Output>> {
      const session = sessions++;
      const all = Object.keys(outputs) as Output[];
      const open = async (): Promise<ModelProcess> => {
        const { model, options } = await inTurns(encodeModel(outputs, how));
        const process = home();
        await process.ask({ kind: "load", session, model, options });
        return process;
      };
      let opened: Promise<ModelProcess> | undefined = open();
      await opened;
      return {
        async run<Name extends Output>(feeds: Feeds, names?: readonly Name[]) {
          if (opened === undefined) throw new Error("the session was released");
          if (!(await opened).alive) opened = open();
          const process = await opened;
          const value = await process.ask({ kind: "run", session, feeds, fetches: names ?? (all as string[] as Name[]) });
          peakMemory = Math.max(peakMemory, process.peakMemory);
          return value as Record<Name, NdArray>;
        },
        async close() {
          const process = await opened;
          opened = undefined;
          if (process?.alive) await process.ask({ kind: "release", session });
        },
      };
    },
    peakMemory: () => Math.max(peakMemory, current?.peakMemory ?? 0),
    async close() {
      closed = true;
      await current?.end();
    },
  };
}
