import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { floats } from "../core/array.ts";
import { div, sub } from "../graph/ops/elementwise.ts";
import { reduceMean } from "../graph/ops/reduce.ts";
import { input } from "../graph/ops/source.ts";
import { smallTask } from "../testing/small-task.ts";
import { MetricsFile } from "./metrics-file.ts";
import { type BatchProgress, type TrainedWeights, type TrainingOptions, type TrainingTask, train } from "./run.ts";
import { TrainableWeights } from "./trainable-weights.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "train-"));
});
afterEach(() => rm(folder, { recursive: true }));

const run = (task: TrainingTask, name: string, options: Partial<TrainingOptions> = {}): Promise<TrainedWeights> =>
  train(task, { folder: join(folder, name), workers: 1, reportEvery: 4, ...options });

const valuesOf = (weights: TrainedWeights) => Object.fromEntries([...weights].map(([name, { values }]) => [name, [...values]]));
const checkpointOf = (name: string) => join(folder, name, "checkpoint.safetensors");
/** Metrics without time and memory. */
const metricsOf = async (name: string) =>
  (await new MetricsFile(join(folder, name, "metrics.jsonl")).read()).map(
    ({ seconds: _, stepSeconds: _step, peakMemory: _peak, ...line }) => line,
  );
/** All tensors of a checkpoint: its bytes after the header. */
async function stateOf(name: string): Promise<Buffer> {
  const bytes = await readFile(checkpointOf(name));
  return bytes.subarray(8 + Number(bytes.readBigUInt64LE()));
}

test("the loss falls", async () => {
  await run(smallTask({ steps: 120 }), "a");
  const lines = await metricsOf("a");
  expect(lines).toHaveLength(30);
  expect(lines.at(-1)!.loss).toBeLessThan(lines[0]!.loss! * 0.2);
  expect(lines.map(({ step }) => step)).toEqual(lines.map((_, i) => (i + 1) * 4));
});

test.each(["adamw", "muon"] as const)(
  "a run stopped by its signal resumes as if it had not been: weights, average and metrics, %s",
  async (optimiser) => {
    const matrices = { match: (name: string) => name.endsWith("weight"), learningRate: 0.02, optimiser };
    const withMatrices = (t: TrainingTask): TrainingTask => ({ ...t, groups: [matrices, ...t.groups] });
    const whole = await run(smallTask({ change: withMatrices }), "whole", { workers: 2 });
    const stop = new AbortController();
    const task = smallTask({
      change: (t) => ({
        ...withMatrices(t),
        batch: (at) => {
          if (at.step === 9) stop.abort(); // while the eighth step computes
          return t.batch(at);
        },
      }),
    });
    await expect(run(task, "stopped", { workers: 2, signal: stop.signal })).rejects.toThrow("abort");
    expect((await metricsOf("stopped")).length).toBeLessThan(3);
    const resumed = await run(smallTask({ change: withMatrices }), "stopped", { workers: 2 });
    expect(valuesOf(resumed)).toEqual(valuesOf(whole));
    expect((await stateOf("stopped")).equals(await stateOf("whole"))).toBe(true);
    expect(await metricsOf("stopped")).toEqual(await metricsOf("whole"));
  },
);

test("a step of many batches reports each, and stops between two of them with nothing lost or done twice", async () => {
  const task = () => smallTask({ steps: 3, change: (t) => ({ ...t, accumulate: 50 }) });
  const whole = await run(task(), "whole");
  const stop = new AbortController();
  const told: number[] = [];
  const onBatch = ({ step, batch, batches }: BatchProgress) => {
    told.push(batch);
    expect(batches).toBe(50);
    if (step === 1 && batch === 3) stop.abort();
  };
  await expect(run(task(), "stopped", { signal: stop.signal, onBatch })).rejects.toThrow("abort");
  expect(told.slice(0, 53)).toEqual([...Array.from({ length: 50 }, (_, i) => i + 1), 1, 2, 3]);
  expect(valuesOf(await run(task(), "stopped"))).toEqual(valuesOf(whole));
  expect(await metricsOf("stopped")).toEqual(await metricsOf("whole"));
});

test("a crashed run resumes from its last checkpoint; later metrics are written again", async () => {
  const whole = await run(smallTask(), "whole");
  let atSix: Buffer | undefined;
  const crash = smallTask({
    change: (t) => ({
      ...t,
      batch: async (at) => {
        if (at.step === 7) atSix = await readFile(checkpointOf("killed"));
        if (at.step === 15) throw new Error("the power failed");
        return t.batch(at);
      },
    }),
  });
  await expect(run(crash, "killed", { checkpointSeconds: 0 })).rejects.toThrow("the power failed");
  await writeFile(checkpointOf("killed"), atSix!); // eight lines of metrics are later than this
  const before = await readFile(join(folder, "killed", "metrics.jsonl"), "utf8");
  await writeFile(join(folder, "killed", "metrics.jsonl"), `${before}{"step":16,"lo`);
  const resumed = await run(smallTask(), "killed");
  expect(valuesOf(resumed)).toEqual(valuesOf(whole));
  expect(await metricsOf("killed")).toEqual(await metricsOf("whole"));
  expect(before.split("\n").length - 1).toBe(3);
});

/** Runs code in a process of its own, which may be killed or limited. */
const program = (lines: string, limit = "unlimited") => {
  const imports = ["./run.ts", "../testing/small-task.ts"].map((path) => JSON.stringify(new URL(path, import.meta.url).href));
  const code = `const { train } = await import(${imports[0]}); const { smallTask } = await import(${imports[1]}); ${lines}`;
  const path = join(folder, "program.mjs");
  writeFileSync(path, code);
  const node = [process.execPath, "--import", "tsx", path];
  const limited = ["-c", `ulimit -f ${limit}; trap "" XFSZ; exec "$@"`, "bash", ...node];
  return spawnSync("bash", limited, {
    encoding: "utf8",
    cwd: new URL("../..", import.meta.url),
    env: { ...process.env, TSX_DISABLE_CACHE: "1" },
  });
};
const optionsText = (name: string): string =>
  JSON.stringify({ folder: join(folder, name), workers: 1, reportEvery: 4, checkpointSeconds: 0 });

test("a run that is killed in the ninth step resumes as if it had not been", async () => {
  const whole = valuesOf(await run(smallTask(), "whole"));
  const kill = "(at) => { if (at.step === 9) process.kill(process.pid, 'SIGKILL'); return t.batch(at); }";
  const killed = program(`await train(smallTask({ change: (t) => ({ ...t, batch: ${kill} }) }), ${optionsText("killed")});`);
  expect(killed.signal, killed.stderr).toBe("SIGKILL");
  expect(valuesOf(await run(smallTask(), "killed"))).toEqual(whole);
  expect(await metricsOf("killed")).toEqual(await metricsOf("whole"));
});

test("a full disk ends the run and loses no earlier checkpoint", async () => {
  const crash = smallTask({
    change: (t) => ({
      ...t,
      batch: (at) => {
        if (at.step === 9) throw new Error("stop here");
        return t.batch(at);
      },
    }),
  });
  await expect(run(crash, "a", { checkpointSeconds: 0 })).rejects.toThrow("stop here");
  const before = await readFile(checkpointOf("a"));
  const full = program(`await train(smallTask(), ${optionsText("a")}).catch((error) => console.log(error.code));`, "1");
  expect(full.stdout, full.stderr).toBe("disk/full\n");
  expect((await readFile(checkpointOf("a"))).equals(before)).toBe(true);
  expect((await readdir(join(folder, "a"))).sort()).toEqual(["checkpoint.safetensors", "metrics.jsonl"]);
  expect(valuesOf(await run(smallTask(), "a"))).toEqual(valuesOf(await run(smallTask(), "whole")));
});

test("two workers give the same as one with both their batches, and as one with two accumulated batches", async () => {
  const one = valuesOf(await run(smallTask({ batch: 16, rows: ({ step }) => step * 16 }), "one"));
  const two = valuesOf(await run(smallTask(), "two", { workers: 2 }));
  const parts = valuesOf(
    await run(
      smallTask({ rows: ({ step, micro }) => (step * 2 + micro) * 8, change: (t) => ({ ...t, accumulate: 2 }) }),
      "parts",
    ),
  );
  for (const [name, values] of Object.entries(one)) {
    expect(two[name], name).toMatchGolden(values, 1e-5);
    expect(parts[name], name).toMatchGolden(values, 1e-5);
  }
});

test("each group has its own learning rate, and a rate of 0 changes nothing", async () => {
  const still = smallTask({ change: (t) => ({ ...t, groups: [{ ...t.groups[0]!, learningRate: 0 }, t.groups[1]!] }) });
  const start = valuesOf(await run(smallTask({ steps: 0 }), "start"));
  const end = valuesOf(await run(still, "end"));
  expect(end["first.weight"]).toEqual(start["first.weight"]);
  expect(end["second.weight"]).not.toEqual(start["second.weight"]);
});

test("without EMA the weights themselves are returned", async () => {
  const plain = ({ emaDecay: _, ...t }: TrainingTask): TrainingTask => t;
  const with_ = valuesOf(await run(smallTask(), "with"));
  const without = valuesOf(await run(smallTask({ change: plain }), "without"));
  expect(without["first.weight"]).not.toEqual(with_["first.weight"]);
});

test("samples during training are drawn from the average", async () => {
  const seen: number[] = [];
  let last: TrainedWeights | undefined;
  const onSample = async (weights: TrainedWeights, step: number) => {
    seen.push(step);
    last = weights;
  };
  const end = await run(smallTask(), "a", { onSample, sampleEvery: 10 });
  expect(seen).toEqual([10, 20]);
  expect(valuesOf(last!)).toEqual(valuesOf(end));
});

test("a checkpoint of another config is refused, with the fields that differ", async () => {
  await run(smallTask(), "a");
  const other = smallTask({ batch: 4, steps: 30 });
  await expect(run(other, "a")).rejects.toMatchObject({
    code: "train/other-config",
    message: expect.stringMatching(/batch was 8 and is 4; steps was 20 and is 30\.$/),
  });
});

test("a checkpoint of another optimiser is refused", async () => {
  await run(smallTask(), "a");
  const muon = { match: (name: string) => name.endsWith("weight"), learningRate: 0.02, optimiser: "muon" } as const;
  const other = smallTask({ change: (t) => ({ ...t, groups: [muon, ...t.groups] }) });
  await expect(run(other, "a")).rejects.toMatchObject({
    code: "train/other-config",
    message: expect.stringMatching(/optimiser was undefined and is muon\.$/),
  });
});

test("a checkpoint of another model is refused, and kept", async () => {
  await run(smallTask(), "a");
  const before = await readFile(checkpointOf("a"));
  const weights = new TrainableWeights();
  const loss = reduceMean(weights.param("w", [3], "zeros"));
  await expect(run(smallTask({ change: (t) => ({ ...t, weights, loss, metrics: {} }) }), "a")).rejects.toMatchObject({
    code: "train/checkpoint",
  });
  expect((await readFile(checkpointOf("a"))).equals(before)).toBe(true);
});

test("a loss of NaN stops the run, names the batch, and keeps the weights from before", async () => {
  const broken = (at: number) =>
    smallTask({
      change: (t) => ({
        ...t,
        batch: async ({ step, worker, micro }) => {
          const feeds = await t.batch({ step, worker, micro });
          if (step === at && worker === 1) feeds.wanted!.data.fill(Number.NaN as never);
          return feeds;
        },
      }),
    });
  await expect(run(broken(6), "a", { workers: 2 })).rejects.toMatchObject({
    code: "train/not-finite",
    message: "The loss of batch 0 of worker 1 is not a number at step 7 of small.",
  });
  const resumed = valuesOf(await run(smallTask(), "a", { workers: 2 }));
  expect(resumed).toEqual(valuesOf(await run(smallTask(), "whole", { workers: 2 })));
});

test("a loss that is not finite changes nothing even if its gradient is finite", async () => {
  const weights = new TrainableWeights();
  const w = weights.param("w", [2], "ones");
  const task = (zero: number): TrainingTask => ({
    ...smallTask({ steps: 1 }),
    weights,
    // 1/0 is not finite, and does not depend on the weights
    loss: reduceMean(sub(w, div(1, input("zero", [2])))),
    metrics: {},
    batch: () => ({ zero: floats(Float32Array.of(zero, zero), 2) }),
    groups: [{ match: () => true, learningRate: 0.1 }],
  });
  await expect(run(task(0), "a")).rejects.toMatchObject({ code: "train/not-finite" });
  const bytes = await stateOf("a");
  const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  expect(values).toMatchGolden([1, 1, 0, 0, 1, 1, 0, 0], 0); // ema, m, params, v
});

test("an error in a batch ends the run and its workers", async () => {
  const failing = smallTask({ change: (t) => ({ ...t, batch: () => ({}) }) }); // ONNX Runtime lacks its inputs
  await expect(run(failing, "a", { workers: 2 })).rejects.toThrow(/x|wanted/);
});
