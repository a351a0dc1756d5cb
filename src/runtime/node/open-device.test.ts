import { spawnSync } from "node:child_process";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type FloatArray, floats } from "../../core/array.ts";
import { atOnce } from "../../core/steps.ts";
import { namedDim } from "../../graph/dim.ts";
import { attention } from "../../graph/ops/attention.ts";
import { cos, mul, sin } from "../../graph/ops/elementwise.ts";
import { groupNorm } from "../../graph/ops/normalise.ts";
import { constant, input } from "../../graph/ops/source.ts";
import { attentionIsRight, attentionProbe, attentionProbeFeeds } from "../attention-probe.ts";
import type { Device } from "../device.ts";
import { encodeModel } from "./encode-model.ts";
import type { ModelProcess } from "./model-process.ts";
import { openDevice } from "./open-device.ts";
import { ortRuntime } from "./ort-runtime.ts";

afterEach(() => vi.unstubAllEnvs());

test("the probe accepts correct attention, and no other", async () => {
  const runtime = ortRuntime();
  expect(await runtime.open()).toEqual([]);
  const session = await runtime.load(attentionProbe);
  const values = (await session.run(attentionProbeFeeds)) as Record<keyof typeof attentionProbe, FloatArray>;
  expect(attentionIsRight(values)).toBe(true);
  const changed = (name: keyof typeof attentionProbe, change: (x: number) => number) => {
    const { dims, data } = values[name];
    return { ...values, [name]: floats(data.with(5000, change(data[5000]!)), ...dims) };
  };
  expect(attentionIsRight(changed("seen", (x) => x + 0.01))).toBe(false);
  expect(attentionIsRight(changed("causal", () => Number.NaN))).toBe(false);
  await runtime.close();
});

test("a device whose attention is wrong gets a plain one, with a notice", async () => {
  const process = {
    alive: true,
    ask: async ({ fetches = [] }: { fetches?: readonly string[] }) =>
      Object.fromEntries(fetches.map((name) => [name, floats(new Float32Array(4).fill(Number.NaN), 4)])),
  } as unknown as ModelProcess;
  const opened = await openDevice(process, "webgpu");
  expect(opened.plainAttention).toBe(true);
  expect(opened.notices.map(({ code }) => code)).toEqual(["device/plain-attention"]);
  expect(await openDevice(process, "cuda")).toEqual({ notices: [] });
});

test.each(["cuda", "webgpu"])("while %s is opened, output of libraries does not appear in the program's own output", (device) => {
  const url = JSON.stringify(new URL("./ort-runtime.ts", import.meta.url));
  const program = `const { ortRuntime } = await import(${url});
    const runtime = ortRuntime({ device: "${device}" });
    console.log(await runtime.open().then(() => "open", (error) => error.code));
    await runtime.close();`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program], {
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  expect(stdout).toMatch(/^(open|device\/unavailable)\n$/);
});

test("each device has its own lowerings of attention and products", () => {
  const [q, k] = [input("q", [1, 40, 8]), input("k", [1, 50, 8])];
  const says = (device: Device, plainAttention: boolean, word: string): boolean => {
    const outputs = { y: attention(q, k, k, { heads: 2, causal: false }) };
    return Buffer.from(atOnce(encodeModel(outputs, { device, plainAttention })).model).includes(word);
  };
  for (const device of ["cpu", "webgpu", "cuda"] as const) {
    expect(says(device, false, "MultiHeadAttention")).toBe(true);
    expect(says(device, true, "MultiHeadAttention")).toBe(false);
    expect(says(device, true, "FusedMatMul")).toBe(device !== "webgpu");
  }
});

test.runIf(process.platform === "linux")("a missing device is refused, and nothing runs on the processor instead", async () => {
  for (const name of ["VK_ICD_FILENAMES", "VK_DRIVER_FILES"]) vi.stubEnv(name, "/there/is/no/driver.json");
  const runtime = ortRuntime({ device: "webgpu" });
  const refusal = { code: "device/unavailable", remedy: expect.stringContaining("--device cpu") };
  await expect(runtime.open()).rejects.toMatchObject(refusal);
  await expect(runtime.load({ y: mul(input("x", [2]), 2) })).rejects.toMatchObject(refusal);
  await runtime.close();
});

/** Any Vulkan device will do, such as SwiftShader of Debian's chromium: VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json */
describe.skipIf(process.env.VK_ICD_FILENAMES === undefined)("on WebGPU (skipped unless VK_ICD_FILENAMES names a driver)", () => {
  const x = input("x", [namedDim("b"), 4]);
  const ramp = floats(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8), 2, 4);

  test("attention is correct, even if the device's own is wrong", async () => {
    const [q, k, v] = (["q", "k", "v"] as const).map((name) => input(name, [1, namedDim("positions"), 128]));
    const all = [false, true].map((causal) => attention(q!, k!, v!, { heads: 2, causal }));
    const y = { seen: all[0]!, causal: all[1]! };
    const results = [];
    for (const device of ["cpu", "webgpu"] as const) {
      const runtime = ortRuntime({ device });
      results.push(await (await runtime.load(y)).run(attentionProbeFeeds));
      await runtime.close();
    }
    for (const name of ["seen", "causal"] as const)
      expect(results[1]![name].data as Float32Array).toMatchGolden(results[0]![name].data as Float32Array, 1e-5);
  });

  test("half precision works or is refused by code, and float32 always runs", async () => {
    const runtime = ortRuntime({ device: "webgpu" });
    const refusal = await runtime.open({ half: true }).then(
      () => undefined,
      (error) => error.code,
    );
    expect([undefined, "precision/not-on-device"]).toContain(refusal);
    expect((await (await runtime.load({ y: mul(x, 2) })).run({ x: ramp })).y.data).toEqual(ramp.data.map((value) => value * 2));
    await runtime.close();
  });

  test("sines of large numbers, such as timesteps, equal the processor's", async () => {
    const runtime = ortRuntime({ device: "webgpu" });
    const session = await runtime.load({ sine: sin(x), cosine: cos(x) });
    const times = floats(Float32Array.of(1, 250.5, 500.25, 999, 0.125, 3, 31.5, 777), 2, 4);
    const { sine, cosine } = await session.run({ x: times });
    expect(sine.data as Float32Array).toMatchGolden(times.data.map(Math.sin), 1e-6);
    expect(cosine.data as Float32Array).toMatchGolden(times.data.map(Math.cos), 1e-6);
    await runtime.close();
  });

  test("a failed run throws an error with its cause, and the next run works", async () => {
    const runtime = ortRuntime({ device: "webgpu" });
    const session = await runtime.load({ y: mul(x, 2) });
    const other = await runtime.load({ y: mul(x, 3) });
    await expect(session.run({})).rejects.toMatchObject({ code: "device/failed", message: expect.stringContaining("'x'") });
    expect((await session.run({ x: ramp })).y.data).toEqual(ramp.data.map((value) => value * 2));
    expect((await other.run({ x: ramp })).y.data).toEqual(ramp.data.map((value) => value * 3));
    await runtime.close();
  });

  test("two sessions that run at once both answer", async () => {
    const runtime = ortRuntime({ device: "webgpu" });
    const ones = constant([1, 1, 1, 1], [4]);
    const [a, b] = await Promise.all([
      runtime.load({ y: mul(x, 2) }),
      runtime.load({ y: groupNorm(x, ones, constant([0, 0, 0, 0], [4]), 1, 1e-5) }),
    ]);
    const runs = Array.from({ length: 10 }, async () => Promise.all([a!.run({ x: ramp }), b!.run({ x: ramp })]));
    for (const [twice, normal] of await Promise.all(runs)) {
      expect(twice!.y.data).toEqual(ramp.data.map((value) => value * 2));
      expect((normal!.y.data as Float32Array).slice(0, 4)).toMatchGolden([-1.34164, -0.44721, 0.44721, 1.34164], 1e-4);
    }
    await runtime.close();
  });
});
