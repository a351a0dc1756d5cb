// Writes a model of SDXL's size, and adapters for it, with random weights, for measurements without real ones.
//
//   npm run synthetic -- --out <folder> [--seed 0] [--what model,v1,v2] [--outliers quiet|loud]
import "../show-help.ts";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { makeFolder } from "../../src/core/make-folder.node.ts";
import { openAdapter, openModel, writeSafetensors } from "../../src/weights/index.ts";
import { idEncoderParameters, type Parameters, textParameters, unetParameters, vaeParameters } from "./parameters.ts";
import { SDXL } from "./sdxl-sizes.ts";
import { Values } from "./values.ts";
import { adapterTensors, modelTensors, type WriteOptions } from "./write.ts";

const USAGE = "npm run synthetic -- --out <folder> [--seed 0] [--what model,v1,v2] [--outliers quiet|loud]";
const { values: args } = parseArgs({
  options: {
    out: { type: "string" },
    seed: { type: "string", default: "0" },
    what: { type: "string", default: "model,v1" },
    outliers: { type: "string" },
  },
});

function outliersOf(kind: string | undefined): Pick<WriteOptions, "outliers"> {
  if (kind === undefined) return {};
  if (kind !== "quiet" && kind !== "loud") throw new Error(USAGE);
  return { outliers: kind };
}

/** Checks that a written file, read like a user's, has the names and shapes that the models ask for. */
function compare(what: string, wanted: Parameters, found: ReadonlyMap<string, { readonly shape: readonly number[] }>): void {
  for (const [name, { shape }] of wanted)
    if (String(found.get(name)?.shape) !== String(shape))
      throw new Error(`${what}: ${name} is [${found.get(name)?.shape}], not [${shape}]`);
  if (found.size !== wanted.size) throw new Error(`${what}: ${found.size} tensors, not ${wanted.size}`);
}

async function main(): Promise<void> {
  if (args.out === undefined) throw new Error(USAGE);
  await makeFolder(args.out);
  const options = { values: new Values(Number(args.seed)), ...outliersOf(args.outliers) };
  for (const what of args.what.split(",")) {
    const start = performance.now();
    const path = join(args.out, what === "model" ? "sdxl-synthetic.safetensors" : `photomaker-${what}-synthetic.safetensors`);
    if (what === "model") {
      await writeSafetensors(path, modelTensors(SDXL, options));
      const { components } = await openModel(path);
      compare("unet", unetParameters(SDXL), components.unet.tensors);
      compare("vae", vaeParameters(SDXL), components.vae.tensors);
      compare("text_encoder", textParameters(SDXL.textEncoder), components.text_encoder.tensors);
      compare("text_encoder_2", textParameters(SDXL.textEncoder2), components.text_encoder_2.tensors);
    } else if (what === "v1" || what === "v2") {
      await writeSafetensors(path, adapterTensors(SDXL, what, options));
      compare(what, idEncoderParameters(SDXL, what), (await openAdapter(path)).idEncoder);
    } else throw new Error(`There is no "${what}". ${USAGE}`);
    console.log(`${path} (${((performance.now() - start) / 1000).toFixed(0)} s)`);
  }
}
await main();
