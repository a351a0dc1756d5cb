import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { encodePicture } from "../../image/encode-picture.ts";
import { withPngSettings } from "../../image/png-settings.ts";
import { goldenPath } from "../../testing/golden.ts";
import { cli } from "../../testing/run-cli.ts";
import { inspectTable } from "./inspect.ts";

test("a description is shown as a table, with missing parts and remarks", () => {
  const part = (name: string, parameters: number) => ({
    name,
    tensors: 2,
    parameters,
    bytes: parameters * 2,
    dtypes: { F16: parameters },
  });
  const text = inspectTable({
    path: "/m",
    kind: "sdxl",
    title: "an SDXL checkpoint",
    format: "safetensors",
    components: [part("unet", 2_567_463_684), part("vae", 83_653_863)],
    metadata: { "modelspec.title": `${"long ".repeat(40)}\nend` },
    missing: ["text_encoder"],
    remarks: ["It lacks a text encoder."],
    lora: { spelling: "PEFT", methods: ["LoRA", "LoHa"], ranks: [4, 8], layers: 12 },
  });
  expect(text).toContain(
    [
      "part  tensors  parameters      size  numbers",
      "unet        2     2.567 B    5.1 GB  F16",
      "vae         2      83.7 M  167.3 MB  F16",
      "all         4     2.651 B    5.3 GB  F16",
    ].join("\n"),
  );
  expect(text).toContain("LoRA, LoHa: PEFT; 12 layers; rank 4, 8");
  expect(text).toContain("missing: text_encoder\n\nIt lacks a text encoder.");
  for (const line of text.split("\n")) expect(line.length).toBeLessThan(125);
});

test("what a model predicts stands under its kind", () => {
  const prediction = { name: "edm-v", zeroTerminalSnr: false, from: "the tensor edm_vpred.sigma_max" } as const;
  const model = { path: "/m/a.safetensors", kind: "sdxl", title: "an SDXL checkpoint", format: "safetensors" } as const;
  const shown = inspectTable({ ...model, components: [], metadata: {}, missing: [], remarks: [], prediction });
  expect(shown.split("\n")[2]).toBe(
    "predicts velocity over continuous noise levels (EDM), as CosXL does (the tensor edm_vpred.sigma_max)",
  );
});

test("a picture made by photomaker shows its settings, any other says that it has none", async () => {
  const folder = await mkdtemp(join(tmpdir(), "inspect-"));
  try {
    const [made, other] = [join(folder, "made.png"), join(folder, "other.jpg")];
    const png = await readFile(goldenPath("photos", "person_0.png"));
    const settings = { prompt: "a man img", seed: 42 };
    await writeFile(made, withPngSettings(png, { parameters: "a man img\nSteps: 30, Seed: 42", settings }));
    await writeFile(other, await readFile(goldenPath("photos", "person_0_444.jpg")));
    expect(await cli(["inspect", made])).toEqual({
      code: 0,
      out: `${made}\na picture (PNG)\n\na man img\nSteps: 30, Seed: 42\n\nTo make it again: photomaker generate --config "${made}"\n`,
      err: "",
    });
    expect(JSON.parse((await cli(["inspect", made, "--json"])).out)).toMatchObject({ kind: "picture", settings });
    for (const [format, name] of [
      ["jpeg", "JPEG"],
      ["webp", "WebP"],
    ] as const) {
      await writeFile(
        made,
        await encodePicture(withPngSettings(png, { parameters: "a man img\nSteps: 30, Seed: 42", settings }), { format }),
      );
      expect((await cli(["inspect", made])).out).toContain(
        `a picture (${name})\n\na man img\nSteps: 30, Seed: 42\n\nTo make it again`,
      );
    }
    expect((await cli(["inspect", other])).out).toContain("a picture (JPEG)\n\nIt holds no settings.\n");
  } finally {
    await rm(folder, { recursive: true });
  }
});
