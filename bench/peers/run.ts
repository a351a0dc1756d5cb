// Compares photomaker with other programs on the same checkpoint, in turn in one run: seconds of a UNet evaluation and of a VAE decode, and ratios.
//
//   npx tsx bench/peers/run.ts --model sdxl.safetensors --sizes 512,1024 --rounds 5 --json peers.json \
//     --precision int8,f32 --diffusers torch-env/bin/python --openvino ov-env/bin/python --sd-cpp stable-diffusion.cpp/build/bin/sd
//
// The other programs are not part of this package. Install those you want, and pass their paths:
//
// diffusers: a Python (3.10 or newer) with PyTorch.
//   python3 -m venv torch-env
//   torch-env/bin/pip install torch==2.8.0 --index-url https://download.pytorch.org/whl/cpu
//   torch-env/bin/pip install diffusers==0.35.2 transformers==4.56.2 accelerate safetensors
// OpenVINO: the same environment with OpenVINO added. Models are converted once, into --openvino-ir (SDXL: some 10.5 GB).
//   ov-env/bin/pip install openvino==2026.4.1
// stable-diffusion.cpp: build it at a commit, which you note with the results.
//   git clone --recursive https://github.com/leejet/stable-diffusion.cpp && cd stable-diffusion.cpp
//   git checkout 97d29908 && git submodule update --init --recursive
//   cmake -B build -DCMAKE_BUILD_TYPE=Release && cmake --build build --config Release -j
//   It reads single files only. --sd-cpp-arguments "--type f16,--type q8_0" runs it twice, each time with other arguments.
//
// With a single file, diffusers downloads the configs of SDXL from the hub, unless --config names a diffusers folder that has them.
// Every engine has as many threads as there are cores (--threads), keeps its model loaded, and runs each case once before timing.
// All models together must fit into memory; with --one-at-a-time each engine is restarted for every round, which takes long.
// Ctrl-C ends it with the measurements so far. Run it on an otherwise idle machine.
import "../../scripts/show-help.ts";
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { thisMachine } from "../../src/bench/machine.ts";
import { machineText } from "../../src/bench/table.ts";
import { compareEngines, comparisonText, type Row, type Series } from "./comparison.ts";
import { enginesOf } from "./engines.ts";
import { type Engine, EngineError, Peer } from "./peer.ts";
import type { Answer, Request } from "./serve.ts";

const { values: flags } = parseArgs({
  options: {
    model: { type: "string" },
    config: { type: "string" },
    sizes: { type: "string", default: "512" },
    batch: { type: "string", default: "1" },
    parts: { type: "string", default: "unet,vae" },
    rounds: { type: "string", default: "5" },
    threads: { type: "string" },
    precision: { type: "string", default: "int8,f32" },
    diffusers: { type: "string" },
    "diffusers-precision": { type: "string", default: "bf16,f32" },
    openvino: { type: "string" },
    "openvino-precision": { type: "string", default: "bf16" },
    "openvino-ir": { type: "string", default: "openvino-ir" },
    "sd-cpp": { type: "string" },
    "sd-cpp-arguments": { type: "string", default: "" },
    "one-at-a-time": { type: "boolean", default: false },
    json: { type: "string" },
  },
});

const { model } = flags;
if (model === undefined) throw new Error("Name a checkpoint: --model sdxl.safetensors. See bench/peers/run.ts --help.");
const engines = enginesOf({ ...flags, model });
const numbers = (text: string): number[] => text.split(",").map(Number);
const rounds = Number(flags.rounds);
const requests = flags.parts.split(",").flatMap((part) =>
  numbers(flags.sizes).flatMap((side) =>
    numbers(flags.batch).map((batch): Request => {
      if (part !== "unet" && part !== "vae") throw new Error(`--parts has "${part}", but only unet and vae are known.`);
      if (!(side > 0 && batch > 0 && rounds > 0)) throw new Error("--sizes, --batch and --rounds must be positive numbers.");
      return { part, width: side, height: side, batch };
    }),
  ),
);

let stopped = false;
process.on("SIGINT", () => {
  stopped = true;
});

const about: Record<string, string> = {};
const running = new Map<Engine, Peer>();

async function ask(engine: Engine, request: Request): Promise<Answer | undefined> {
  let peer = running.get(engine);
  if (peer === undefined) {
    const started = await Peer.start(engine);
    ({ peer } = started);
    about[engine.name] = started.about;
    running.set(engine, peer);
    if (flags["one-at-a-time"]) await peer.ask(request); // not counted: a first run is slower
  }
  const answer = await peer.ask(request);
  if (flags["one-at-a-time"]) {
    await peer.end();
    running.delete(engine);
  }
  return answer;
}

/** Measures a request. Each round begins with another engine; round 0 is not counted. */
async function measure(request: Request): Promise<Row[]> {
  const seconds = new Map<Engine, number[]>(engines.map((engine) => [engine, []]));
  const memory = new Map<Engine, number>();
  const cannot = new Set<Engine>();
  try {
    for (let round = flags["one-at-a-time"] ? 1 : 0; round <= rounds; round++)
      for (let turn = 0; turn < engines.length && !stopped; turn++) {
        const engine = engines[(round + turn) % engines.length]!;
        const answer = cannot.has(engine) ? undefined : await ask(engine, request);
        if (answer === undefined) cannot.add(engine);
        else if (round > 0) seconds.get(engine)!.push(answer.seconds);
        if (answer?.peakMemory !== undefined) memory.set(engine, answer.peakMemory);
        const shown = answer === undefined ? "cannot do it" : `${answer.seconds.toFixed(3)} s`;
        const { part, width, height, batch } = request;
        process.stderr.write(`${part} ${width}x${height} batch ${batch}, round ${round} of ${rounds}: ${engine.name} ${shown}\n`);
      }
  } catch (error) {
    if (!stopped) throw error; // Ctrl-C ends the engines as well
  }
  const series = engines.map(
    (engine): Series => ({
      engine: engine.name,
      peakMemory: memory.get(engine),
      seconds: cannot.has(engine) ? undefined : seconds.get(engine),
    }),
  );
  return compareEngines(series);
}

const machine = thisMachine();
const results: { request: Request; rows: Row[] }[] = [];
try {
  for (const request of requests) {
    if (stopped) break;
    results.push({ request, rows: await measure(request) });
  }
} catch (error) {
  if (!(error instanceof EngineError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
} finally {
  await Promise.all([...running.values()].map((peer) => peer.end()));
}
const said = Object.entries(about).map(([name, text]) => `  ${name}: ${text}\n`);
console.log([machineText(machine), ...said].join(""));
for (const { request, rows } of results) console.log(comparisonText(request, rows));
console.log(`Ratios are relative to ${engines[0]!.name}, round by round: median and range.`);
const complete = !stopped && process.exitCode === undefined;
if (!complete) console.log("Stopped. These are the measurements so far.");
const report = { machine, engines: about, model, rounds, complete, results };
if (flags.json !== undefined) await writeFile(flags.json, `${JSON.stringify(report, undefined, 2)}\n`);
