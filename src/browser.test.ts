import { createContext, runInContext } from "node:vm";
import { build } from "esbuild";
import { describe, expect, test } from "vitest";

/**
 * Bundles a script beside these folders as a browser needs it, and runs it where there is what browsers have, and nothing of Node.
 * @param script sets `result`
 */
async function inBrowser(script: string): Promise<{ readonly inputs: readonly string[]; readonly result: unknown }> {
  const { outputFiles, metafile } = await build({
    stdin: { contents: script, resolveDir: import.meta.dirname, loader: "ts" },
    bundle: true,
    platform: "browser",
    format: "iife",
    write: false,
    metafile: true,
    logLevel: "silent",
  });
  const context = createContext({ TextEncoder, TextDecoder, Blob, DecompressionStream, performance, setTimeout, crypto });
  runInContext(outputFiles[0]!.text, context);
  return { inputs: Object.keys(metafile.inputs), result: await (context as { result: unknown }).result };
}

describe("runs in a browser as it is", () => {
  test("samplers", async () => {
    const { result } = await inBrowser(`
      import { createSampler } from "./samplers/create-sampler.ts";
      globalThis.result = createSampler("euler", {}, 4).timesteps.length;
    `);
    expect(result).toBe(4);
  });

  test("text", async () => {
    const { result } = await inBrowser(`
      import { createTokenizer } from "./text/tokenizer.ts";
      import { encodePlain } from "./text/window.ts";
      import { expandTrigger } from "./text/trigger.ts";
      const tokenizer = createTokenizer({ merges: "#version\\na b</w>", config: { pad_token: "<|endoftext|>" } });
      globalThis.result = [typeof expandTrigger, encodePlain(tokenizer, "ab", { length: 5, pad: tokenizer.pad }, "prompt").ids.length];
    `);
    expect(result).toEqual(["function", 5]);
  });

  test("weights, models, graph and the runtime's lowerings", async () => {
    const { inputs, result } = await inBrowser(`
      import { atOnce } from "./core/steps.ts";
      import { Checkpoint } from "./graph/checkpoint.ts";
      import { encodeOnnx } from "./graph/onnx/encode.ts";
      import { input } from "./graph/ops/source.ts";
      import { Recorder } from "./graph/recorder.ts";
      import { Weights } from "./graph/weights.ts";
      import { tinyDecode } from "./models/tiny-autoencoder.ts";
      import { unet } from "./models/unet.ts";
      import { vaeDecode } from "./models/vae.ts";
      import { clipText } from "./models/clip-text.ts";
      import { idEncoderV2 } from "./models/id-encoder-v2.ts";
      import { lowerings } from "./runtime/lowerings.ts";
      import { attentionIsRight } from "./runtime/attention-probe.ts";
      import { probeEightBits } from "./runtime/eight-bit-probe.ts";
      import { memorySource } from "./weights/byte-source.ts";
      import { matchLora } from "./weights/lora-match.ts";
      import { readTensorFile } from "./weights/read-tensor-file.ts";
      import { splitSingleFile } from "./weights/sdxl-single-file.ts";
      void [unet, vaeDecode, clipText, idEncoderV2, attentionIsRight, probeEightBits, matchLora, splitSingleFile];

      const config = { imageChannels: 3, latentChannels: 4, channels: 8, blocks: [1, 1], scalingFactor: 1, shiftFactor: 0 };
      const latents = input("latents", [1, 4, 8, 8]);
      const recorder = new Recorder();
      tinyDecode(latents, new Weights(recorder), config);
      const header = {};
      let end = 0;
      for (const [name, { shape }] of recorder.params) {
        const start = end;
        end += 4 * shape.reduce((a, b) => a * b, 1);
        header[name] = { dtype: "F32", shape, data_offsets: [start, end] };
      }
      const text = new TextEncoder().encode(JSON.stringify(header));
      const file = new Uint8Array(8 + text.length + end);
      new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
      file.set(text, 8);
      const draw = async () => {
        const { tensors } = await readTensorFile(memorySource("taesd", file));
        const picture = tinyDecode(latents, new Weights(new Checkpoint(tensors, "taesd")), config);
        const named = new Set();
        const locate = ({ id }) => (named.add(id), id);
        const model = atOnce(encodeOnnx({ picture }, { lowerings: lowerings.webgpu, locate }));
        return [picture.shape, [...named], model.length > 1000];
      };
      globalThis.result = draw();
    `);
    expect(result).toEqual([[1, 3, 16, 16], ["taesd"], true]);
    expect(inputs.filter((path) => /\.node\.ts$/.test(path))).toEqual([]);
  });

  test("sessions, over whatever runtime they are given", async () => {
    const { result } = await inBrowser(`
      import { contentKey } from "./sessions/encoding-cache.ts";
      import { textGraph, unetGraph, vaeGraph } from "./sessions/graphs.ts";
      import { LazySession } from "./sessions/lazy-session.ts";
      import { checkMemory } from "./sessions/memory.ts";
      import { choosePrecision } from "./sessions/precision.ts";
      import { readPrompts } from "./sessions/text/prompts.ts";
      import { encodeText } from "./sessions/text/text-stage.ts";
      import { UNetSessions } from "./sessions/unet-sessions.ts";
      import { vaeEncoderGraph } from "./sessions/vae-encoder.ts";
      void [textGraph, unetGraph, vaeGraph, checkMemory, choosePrecision, readPrompts, encodeText, UNetSessions, vaeEncoderGraph];
      const runtime = { load: async (outputs) => ({ run: async () => Object.keys(outputs) }) };
      const observer = { loading() {}, preparing() {}, noted() {}, loaded() {} };
      const run = async () => {
        const session = await new LazySession(runtime, "unet", { noise: 0 }).get(observer);
        return [await session.run({}), (await contentKey("e", [1])).length];
      };
      globalThis.result = run();
    `);
    expect(result).toEqual([["noise"], 66]);
  });

  test("what needs Node does not become a bundle", async () => {
    await expect(inBrowser('import "./weights/file-access.node.ts"; globalThis.result = 0;')).rejects.toThrow("node:fs/promises");
  });
});
