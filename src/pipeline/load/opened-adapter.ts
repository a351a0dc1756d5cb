import { dirname } from "node:path";
import { type IdGraph, idGraph } from "../../sessions/graphs.ts";
import type { AdapterFiles } from "../../weights/adapter.ts";
import { readJsonIfThere } from "../../weights/read-json.node.ts";

/** An adapter's tensors, and the graphs of its ID encoder. */
export interface OpenedAdapter {
  readonly files: AdapterFiles;
  /** Content of the `photomaker-config.json` beside it, if any. */
  readonly config: unknown;
  readonly graph: IdGraph;
}

/**
 * Builds the graphs of an adapter's ID encoder. No weights are read.
 * @param contextDim width of the UNet's context
 * @throws UserError weights/missing, weights/shape, adapter/config-needed, those of readJsonObject
 */
export async function openedAdapter(files: AdapterFiles, contextDim: number): Promise<OpenedAdapter> {
  const config = await readJsonIfThere(dirname(files.path), "photomaker-config.json");
  return { files, config, graph: idGraph(files, config, contextDim) };
}
