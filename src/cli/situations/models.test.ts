import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { goldenPath } from "../../testing/golden.ts";
import { allMade, type Made, safetensorsOf, single } from "../../testing/number-formats.ts";
import { singleFileBytes, singleFileHeader } from "../../testing/single-file.ts";
import { levelsApart, Situation } from "../../testing/situation.ts";
import { openTensors } from "../../weights/open-tensors.node.ts";

const here = Situation.forTests();
const CONFIG = ["--model-config", goldenPath("tiny-sdxl")];
const checkpoint = async (): Promise<Map<string, Made>> =>
  new Map(
    [...(await singleFileBytes())].map(([name, data]) => [name, { dtype: "F16", shape: singleFileHeader[name]![1], data }]),
  );

test("what a checkpoint's metadata says of its prediction holds as its marker tensor does", async () => {
  const tensors = await checkpoint();
  const drawn = (path: string, ...more: string[]) => here.drawn("--model", path, ...CONFIG, "--steps", "4", ...more);
  const plain = await here.tensors("plain", tensors);
  const marked = new Map([...tensors, ["v_pred", { dtype: "F16", shape: [0], data: new Uint8Array() } satisfies Made]]);
  const want = await drawn(await here.tensors("marked", marked));
  const epsilon = await drawn(plain);
  expect(levelsApart(want, epsilon)).toBeGreaterThan(1);
  for (const metadata of [{ "modelspec.prediction_type": "v" }, { "modelspec.predict_key": "v" }]) {
    const got = await drawn(await here.tensors("said", tensors, metadata));
    expect(levelsApart(got, want), JSON.stringify(metadata)).toBe(0);
    expect(got.messages.join()).toMatch(/predicts velocity/);
    await rm(here.path("said.safetensors"));
  }
});

test.each([
  ["dreamshaperXL_v21TurboDPMSDE", /Turbo/],
  ["realvisxlV40_v40LightningBakedvae", /Lightning/],
  ["turbovisionxlSuperFastXLBasedOnNew", /Turbo/],
])("%s is known by its name as a model for few steps", async (name, family) => {
  const path = await here.tensors(name, await checkpoint());
  const { code, out } = await here.run(
    ...["generate", "--json", "--model", path, ...CONFIG, "--prompt", "a cat", "--width", "64", "--height", "64"],
    ...["--seed", "1", "--out", here.path(`${name}.png`)],
  );
  const { images, notices } = JSON.parse(out);
  expect(code).toBe(0);
  expect(images[0].settings.numInferenceSteps).toBeLessThanOrEqual(8);
  expect(JSON.stringify(notices)).toMatch(family);
});

test("a folder with another variant alone is drawn with it, and says so", async () => {
  const folder = here.path("variant");
  await cp(here.model, folder, { recursive: true });
  for (const part of ["unet", "vae", "text_encoder", "text_encoder_2"])
    for (const name of (await readdir(`${folder}/${part}`)).filter((file) => file.endsWith(".safetensors"))) {
      const bytes = await readFile(`${folder}/${part}/${name}`);
      await rm(`${folder}/${part}/${name}`);
      if (!name.includes(".fp16."))
        await writeFile(`${folder}/${part}/${name.replace(".safetensors", ".ema-only.safetensors")}`, bytes);
    }
  const got = await here.drawn("--model", folder);
  expect(levelsApart(got, await here.drawn())).toBe(0);
  expect(got.messages.join("\n")).toMatch(/unet: diffusion_pytorch_model\.ema-only\.safetensors is used/);
  expect(levelsApart(await here.drawn("--model", `${folder}/model_index.json`), got)).toBe(0);
});

test("tensors that nothing uses are named in every component, and harmless ones are not", async () => {
  const folder = here.path("unused");
  await cp(here.model, folder, { recursive: true });
  for (const [part, name] of [
    ["unet", "mid_block.attentions.0.proj_in.weight_scale"],
    ["vae", "decoder.extra.weight"],
    ["text_encoder", "text_model.embeddings.position_ids"],
  ] as const) {
    const [file] = (await readdir(`${folder}/${part}`)).filter((each) => each.endsWith(".safetensors") && !each.includes("fp16"));
    const tensors = await allMade((await openTensors(`${folder}/${part}/${file}`)).tensors);
    const ids: Made = { dtype: "I64", shape: [1, 1], data: new Uint8Array(8) };
    await writeFile(
      `${folder}/${part}/${file}`,
      safetensorsOf(new Map([...tensors, [name, part === "text_encoder" ? ids : single([1])]])),
    );
  }
  const said = (await here.drawn("--model", folder)).messages.join("\n");
  expect(said).toMatch(/unet: 1 tensor is not used: mid_block\.attentions\.0\.proj_in\.weight_scale/);
  expect(said).toMatch(/vae: 1 tensor is not used: decoder\.extra\.weight/);
  expect(said).not.toMatch(/position_ids/);
});

test("a config of a model with a byte order mark is read", async () => {
  const folder = here.path("marked");
  await cp(here.model, folder, { recursive: true });
  for (const path of [`${folder}/unet/config.json`, `${folder}/model_index.json`])
    await writeFile(path, `\ufeff${await readFile(path, "utf8")}`);
  expect(levelsApart(await here.drawn("--model", folder), await here.drawn())).toBe(0);
});
