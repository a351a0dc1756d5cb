import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readFloats } from "../weights/index.ts";
import { exportAdapter, exportMiniature } from "./export.ts";
import { readMiniature } from "./read-miniature.ts";

test("reading the included miniature and writing it gives the same files", async () => {
  const embedded = fileURLToPath(new URL("../../assets/miniature", import.meta.url));
  const folder = await mkdtemp(join(tmpdir(), "read-miniature-"));
  try {
    const parts = await readMiniature(embedded);
    await exportMiniature(folder, parts);
    const again = await readMiniature(folder);
    expect(again.scalingFactor).toBe(parts.scalingFactor);
    for (const part of ["vae", "base", "vision", "adapter"] as const)
      expect([...again[part].keys()].sort()).toEqual([...parts[part].keys()].sort());
    for (const name of ["unet/diffusion_pytorch_model.safetensors", "photomaker-v1.safetensors", "vae/config.json"])
      expect((await readFile(join(folder, name))).equals(await readFile(join(embedded, name))), name).toBe(true);

    await exportAdapter(folder, parts, 0.5); // halving is exact in half precision, but for the smallest numbers
    const weaker = await readMiniature(folder);
    const lora = [...parts.adapter.keys()].filter((name) => /\.lora_[AB]\.weight$/.test(name));
    expect(lora.length).toBeGreaterThan(0);
    for (const name of lora) {
      const before = await readFloats(parts.adapter.get(name)!);
      const after = await readFloats(weaker.adapter.get(name)!);
      const factor = name.includes("lora_B") ? 0.5 : 1;
      expect(Math.max(...after.map((v, i) => Math.abs(v - factor * before[i]!))), name).toBeLessThan(1e-7);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
