import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { PhotoMaker } from "../pipeline/photomaker.ts";
import { goldenPath } from "../testing/golden.ts";
import { cli } from "../testing/run-cli.ts";

let folder: string;
let interrupt: AbortController;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "bench-"));
  interrupt = new AbortController();
  vi.stubEnv("PHOTOMAKER_CACHE", join(folder, "cache"));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

function bench(...args: string[]) {
  const tools = { open: PhotoMaker.load };
  return cli(["bench", "-q", ...args], tools, { signal: interrupt.signal, peakMemory: () => 1e6 });
}
const plain = ["-m", goldenPath("tiny-sdxl")];
const person = [...plain, "-a", goldenPath("tiny-photomaker-v1.safetensors"), "-i", goldenPath("photos", "person_0.png")];

test("bench measures each precision, size and batch, as a table and as JSON", async () => {
  const file = join(folder, "bench.json");
  const sizes = ["--sizes", "64", "--batch", "1,2", "--steps", "2", "--repeats", "2"];
  const { code, out, err } = await bench(...person, ...sizes, "--precision", "f32,int8", "--json", file);
  expect(code, err).toBe(0);
  expect(out).toMatch(/cpu, f32: seconds\n +loading: .*unet/);
  expect(out).toMatch(/cpu, int8: seconds\n +preparing, once only: .*unet/);
  expect(out).toMatch(/Growth of an evaluation(.*\n){3,}/);

  const { complete, runs, machine } = JSON.parse(await readFile(file, "utf8"));
  expect(complete).toBe(true);
  expect(machine.onnxRuntime).toMatch(/^1\.\d+/);
  expect(runs).toHaveLength(2);
  for (const { load, measured } of runs) {
    expect(Object.keys(load)).toEqual(expect.arrayContaining(["text_encoder", "id_encoder", "unet", "vae"]));
    expect(measured.map(({ batch }: { batch: number }) => batch)).toEqual([1, 2]);
    const [one, two] = measured;
    expect(two.work.total / one.work.total).toBeGreaterThan(1.9);
    for (const { pictures, memory } of measured) {
      expect(memory).toBeGreaterThan(1e6);
      expect(pictures).toHaveLength(2);
      for (const { evaluations, id, text, total } of pictures) {
        expect(evaluations).toHaveLength(2);
        expect(id).toBeGreaterThan(0);
        expect(total).toBeGreaterThan(id + text);
      }
    }
    // models stay loaded, and texts and photos are encoded each time
    expect(measured[0].pictures[1].load).toEqual({});
  }
  expect(runs[0].prepare).toEqual({});
  expect(Object.keys(runs[1].prepare)).toContain("unet");

  const again = await bench(...person, "--steps", "1", "--repeats", "1", "--precision", "int8", "--json");
  expect(JSON.parse(again.out).runs).toMatchObject([{ precision: "int8", prepare: {}, measured: [{ batch: 1 }] }]);
});

test("guidance doubles the rows, plain SDXL has no ID, and --json without a file prints to stdout", async () => {
  const { out } = await bench(...plain, "--sizes", "96x64", "--steps", "1", "--repeats", "1", "--guidance-scale", "5", "--json");
  const { runs, adapter, guidanceScale } = JSON.parse(out);
  expect([adapter, guidanceScale]).toEqual([undefined, 5]);
  expect(runs[0].measured[0]).toMatchObject({ width: 96, height: 64, batch: 1, rows: 2, pictures: [{ id: 0 }] });
});

test("when stopped, it shows what was measured so far and exits with 130", async () => {
  const file = join(folder, "bench.json");
  const pending = bench(...plain, "--steps", "1", "--repeats", "1000", "--json", file);
  const runs = () => readFile(file, "utf8").then((text) => JSON.parse(text).runs);
  await vi.waitFor(async () => expect(await runs()).toHaveLength(1), { timeout: 290_000, interval: 20 });
  interrupt.abort(new DOMException("Stopped.", "AbortError"));
  const { code, out, err } = await pending;
  expect([code, err.split("\n").at(-2)]).toEqual([130, "Stopped. These are the measurements so far."]);
  expect(out).toMatch(/cpu, f32: seconds/);
  expect(JSON.parse(await readFile(file, "utf8"))).toMatchObject({ complete: false, runs: [{ precision: "f32" }] });
});

test.each([
  [["--sizes", "big"], "sizes/wrong-form"],
  [["--sizes", "65"], "size/not-multiple-of-8"],
  [["--precision", "f32,int4"], "precision/unknown"],
  [["--batch", "0"], "batch/not-whole"],
  [["--steps", "many"], "steps/wrong-type"],
  [["-a", "adapter.bin"], "id-images/missing"],
])("%j is refused before any model is opened", async (args, code) => {
  const { out } = await bench("-m", "no-such-model", ...args, "--json");
  expect(JSON.parse(out).error.code).toBe(code);
});
