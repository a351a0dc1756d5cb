import { expect, test } from "vitest";
import { inspectTable } from "./inspect.ts";

test("a description reads as a table, with what is missing and what is to be known", () => {
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
    lora: { spelling: "PEFT", ranks: [4, 8], layers: 12 },
  });
  expect(text).toContain(
    [
      "part  tensors  parameters      size  numbers",
      "unet        2     2.567 B    5.1 GB  F16",
      "vae         2      83.7 M  167.3 MB  F16",
      "all         4     2.651 B    5.3 GB  F16",
    ].join("\n"),
  );
  expect(text).toContain("LoRA: PEFT; 12 layers; rank 4, 8");
  expect(text).toContain("missing: text_encoder\n\nIt lacks a text encoder.");
  for (const line of text.split("\n")) expect(line.length).toBeLessThan(125);
});
