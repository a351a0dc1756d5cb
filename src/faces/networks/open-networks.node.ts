import { fileURLToPath } from "node:url";
import { ownFile } from "../../core/own-file.node.ts";
import { openRuntime } from "../../sessions/runtimes.node.ts";
import { openTensors } from "../../weights/open-tensors.node.ts";
import type { FaceNetworks } from "../face.ts";
import { type FaceNetworkName, faceNetworks } from "./networks.ts";

/** The face networks with the process that they run in. */
export interface OpenFaceNetworks extends FaceNetworks {
  /** Known peak of that process's memory, in bytes. */
  peakMemory(): number;
}

/**
 * Opens the networks that this package ships, in a process of their own, which starts when the first of them is needed; `unload` ends it.
 * @param how.threads for one operation; all cores when absent
 * @throws UserError package/incomplete or package/bundled, when a network is needed and its file is missing
 */
export function openFaceNetworks(how: { readonly threads?: number } = {}): OpenFaceNetworks {
  let peak = 0;
  let current: ReturnType<typeof open> | undefined;
  const open = () => {
    const runtime = openRuntime(how);
    return { runtime, networks: faceNetworks(runtime, shippedWeights) };
  };
  const networks = (): FaceNetworks => {
    current ??= open();
    return current.networks;
  };
  return {
    detect: async (...given) => networks().detect(...given),
    mesh: async (...given) => networks().mesh(...given),
    embed: async (...given) => networks().embed(...given),
    personMask: async (...given) => networks().personMask(...given),
    peakMemory: () => Math.max(peak, current?.runtime.peakMemory() ?? 0),
    async unload() {
      const ending = current;
      current = undefined;
      peak = Math.max(peak, ending?.runtime.peakMemory() ?? 0);
      await ending?.runtime.close();
    },
  };
}

const shippedWeights = async (name: FaceNetworkName) =>
  (await openTensors(fileURLToPath(ownFile(`../../../assets/faces/${name}.safetensors`, import.meta.url)))).tensors;
