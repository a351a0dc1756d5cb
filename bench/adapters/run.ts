// What a change of strength, of the adapter and back costs on a loaded model: seconds of the call, and of loading and preparing in the
// next picture (one step, guidance off). Nothing is kept between two runs but the cache of prepared weights, PHOTOMAKER_CACHE.
//
//   npx tsx bench/adapters/run.ts --model big/sdxl-synthetic.safetensors --adapter big/photomaker-v1-synthetic.safetensors --image a.jpg \
//     [--precision int8] [--size 512]
import "../../scripts/show-help.ts";
import { parseArgs } from "node:util";
import type { LoadInput } from "../../src/index.ts";

const { PhotoMaker } = await import("../../src/index.ts");
const text = { type: "string" } as const;
const { values } = parseArgs({
  options: {
    model: text,
    adapter: text,
    image: text,
    precision: { ...text, default: "int8" },
    size: { ...text, default: "512" },
  },
});
const { model, adapter, image } = values;
if (model === undefined || adapter === undefined || image === undefined)
  throw new Error("give --model, --adapter and --image; --help says more");
const side = Number(values.size);
const precision = values.precision as NonNullable<LoadInput["precision"]>;
const seconds = (ms: number): string => (ms / 1000).toFixed(1).padStart(7);

await using pm = await PhotoMaker.load({ model, adapter, precision });

/** Draws a picture after a change, and prints what both took. */
async function measure(what: string, change: () => Promise<unknown>, person = true): Promise<void> {
  const start = performance.now();
  await change();
  const changed = performance.now();
  const { timings } = await pm.generate({
    prompt: `a photo of a man${person ? " img" : ""}`,
    ...(person && { inputIdImages: [image!] }),
    width: side,
    height: side,
    numInferenceSteps: 1,
    guidanceScale: 1,
    startMergeStep: person ? -1 : undefined,
    seed: 1,
  });
  const loaded = Object.entries(timings.load).map(([name, took]) => `${name} ${took.toFixed(1)}`);
  console.log(
    `${what.padEnd(22)} call ${seconds(changed - start)} s, picture ${seconds(timings.total * 1000)} s; loaded: ${loaded.join(", ") || "nothing"}`,
  );
}

await measure("as loaded", async () => {});
await measure("strength 0.8", () => pm.setLoras([], { adapterScale: 0.8 }));
await measure("strength 0.6", () => pm.setLoras([], { adapterScale: 0.6 }));
await measure("without the adapter", () => pm.setAdapter(undefined), false);
await measure("with it again", () => pm.setAdapter(adapter));
