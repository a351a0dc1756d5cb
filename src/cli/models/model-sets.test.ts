import { expect, test } from "vitest";
import { GenerateRequest, parseLoadOptions } from "../../contract/request.ts";
import { detectFewStep } from "../../pipeline/load/few-step.ts";
import { parseHubId } from "../../weights/hub/index.ts";
import { MODEL_SETS, secondsOf } from "./model-sets.ts";

test.each(MODEL_SETS.map((set) => [set.name, set] as const))(
  "%s: options that are valid, and parts that are what is loaded",
  (_, set) => {
    const { model, adapter, tinyVae, loras } = parseLoadOptions(set.load);
    GenerateRequest.partial().parse(set.request);
    if (set.parts.length === 0) return;
    expect(set.parts.map(({ id }) => id)).toEqual([model, adapter, ...loras.map(({ path }) => path), tinyVae]);
    for (const { id, bytes } of set.parts) {
      expect(parseHubId(id)).toBeDefined();
      expect(bytes).toBeGreaterThan(1e6);
    }
  },
);

test("a set of few steps is recognised as that by its LoRA, where the hub's cache has it", () => {
  for (const { load, picture } of MODEL_SETS) {
    const [lora] = load.loras ?? [];
    if (lora === undefined || picture === undefined) continue;
    const [repo, file] = lora.path.split(":");
    const path = `/hub/models--${repo!.replace("/", "--")}/snapshots/${"c".repeat(40)}/${file}`;
    expect(detectFewStep([{ kind: "lora", path, metadata: {} }])?.fewStep).toMatchObject({
      steps: picture.steps,
      guidanceScale: 1,
    });
  }
});

test("more steps, guidance and the whole VAE take longer, and a quicker machine less", () => {
  const quick = { steps: 4, rows: 1, tinyVae: true };
  const at = secondsOf(quick, 1e12);
  expect(at).toBeCloseTo(3 + (5.98 * 4.4) / 0.85, 6);
  expect(secondsOf({ ...quick, rows: 2 }, 1e12)).toBeGreaterThan(at);
  expect(secondsOf({ ...quick, tinyVae: false }, 1e12)).toBeGreaterThan(at);
  expect(secondsOf(quick, 2e12)).toBeLessThan(at);
});
