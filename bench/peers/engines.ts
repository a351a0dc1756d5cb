import { fileURLToPath } from "node:url";
import type { Engine } from "./peer.ts";

/** Flags of run.ts that choose the engines: see there. */
export interface EngineFlags {
  readonly model: string;
  readonly config?: string | undefined;
  readonly threads?: string | undefined;
  /** Lists of precisions, the first for photomaker. */
  readonly precision: string;
  readonly diffusers?: string | undefined;
  readonly "diffusers-precision": string;
  readonly openvino?: string | undefined;
  readonly "openvino-precision": string;
  readonly "openvino-ir": string;
  readonly "sd-cpp"?: string | undefined;
  readonly "sd-cpp-arguments": string;
}

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const listed = (text: string): string[] => text.split(",").map((item) => item.trim());

/** Engines to compare, photomaker first. */
export function enginesOf(flags: EngineFlags): Engine[] {
  const threads = flags.threads === undefined ? [] : ["--threads", flags.threads];
  const model = ["--model", flags.model, ...(flags.config === undefined ? [] : ["--config", flags.config]), ...threads];
  const engines: Engine[] = listed(flags.precision).map((precision) => ({
    name: `photomaker ${precision}`,
    command: [process.execPath, "--import", "tsx", file("photomaker-peer.ts"), ...model, "--precision", precision],
  }));
  if (flags.diffusers !== undefined)
    for (const precision of listed(flags["diffusers-precision"]))
      engines.push({
        name: `diffusers ${precision}`,
        command: [flags.diffusers, file("diffusers_peer.py"), ...model, "--precision", precision],
      });
  if (flags.openvino !== undefined)
    for (const precision of listed(flags["openvino-precision"]))
      engines.push({
        name: `openvino ${precision}`,
        command: [flags.openvino, file("openvino_peer.py"), ...model, "--precision", precision, "--ir", flags["openvino-ir"]],
      });
  if (flags["sd-cpp"] !== undefined)
    for (const more of flags["sd-cpp-arguments"].split(",")) {
      const own = ["--binary", flags["sd-cpp"], "--model", flags.model, `--arguments=${more}`, ...threads];
      engines.push({
        name: `sd.cpp ${more}`.trim(),
        command: [process.execPath, "--import", "tsx", file("sd-cpp-peer.ts"), ...own],
      });
    }
  return engines;
}
