import { copyFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { goldenPath } from "../../testing/golden.ts";
import { allMade, type Made, single } from "../../testing/number-formats.ts";
import { levelsApart, noise, PERSON, Situation, WITH_V1, WITH_V2 } from "../../testing/situation.ts";
import { openTensors } from "../../weights/open-tensors.node.ts";

const here = Situation.forTests();
const withAdapter = (path: string, ...more: string[]) => here.drawn("--adapter", path, "--id-image", PERSON, ...more);

async function adapter(): Promise<Map<string, Made>> {
  await copyFile(goldenPath("photomaker-config.json"), here.path("photomaker-config.json"));
  return allMade((await openTensors(goldenPath("tiny-photomaker-v1.safetensors"))).tensors);
}
const renamed = (tensors: ReadonlyMap<string, Made>, name: (before: string) => string) =>
  new Map([...tensors].map(([before, made]) => [name(before), made]));

test("an adapter is the same whatever a program put before its names", async () => {
  const want = await here.drawn(...WITH_V1);
  const tensors = await adapter();
  for (const [i, name] of [
    (x: string) => x.replace(/^id_encoder\./, "").replace(/^lora_weights\./, ""),
    (x: string) => x.replace(/^id_encoder\./, "pmid.id_encoder.").replace(/^lora_weights\./, "pmid.lora_weights."),
    (x: string) => `module.${x}`,
  ].entries())
    expect(
      levelsApart(await withAdapter(await here.tensors(`spelling${i}`, renamed(tensors, name))), want),
      name("id_encoder.x"),
    ).toBe(0);
});

test("an ID encoder alone says that its LoRA is missing; with it as a file of its own it draws as the adapter, at any strength", async () => {
  const tensors = await adapter();
  const part = (start: string) => [...tensors].filter(([name]) => name.startsWith(start));
  const encoder = await here.tensors("encoder", new Map(part("id_encoder.")));
  const lora = await here.tensors(
    "lora",
    renamed(new Map(part("lora_weights.")), (name) =>
      name
        .replace("lora_weights.", "")
        .replace(".processor.", ".")
        .replace(/\.to_(q|k|v)_lora\.(down|up)/, ".to_$1.lora_$2")
        .replace(/\.to_out_lora\.(down|up)/, ".to_out.0.lora_$1")
        .replace(
          /^unet\.(.*)\.(lora_\w+\.weight)$/,
          (_, path: string, role: string) => `lora_unet_${path.replaceAll(".", "_")}.${role}`,
        ),
    ),
  );
  const refused = await here.refused("--adapter", encoder, "--id-image", PERSON);
  expect(refused).toMatchObject({ code: "adapter/incomplete", remedy: expect.stringContaining("--lora") });
  for (const scale of ["1", "0.5"]) {
    const apart = await withAdapter(encoder, "--lora", lora, "--adapter-scale", scale);
    expect(levelsApart(apart, await here.drawn(...WITH_V1, "--adapter-scale", scale)), scale).toBeLessThanOrEqual(1);
    expect(apart.notices).toContain("adapter/lora-apart");
  }
  expect((await here.run("inspect", encoder)).out).toMatch(/id_encoder +\d\d/);
});

/** A file of numpy.save. */
function npy(shape: readonly number[], values: Float32Array, order = "False"): Uint8Array {
  const text = `{'descr': '<f4', 'fortran_order': ${order}, 'shape': (${shape.join(", ")},), }`;
  const head = `${text.padEnd(117)}\n`;
  return Buffer.concat([
    Buffer.from(`\x93NUMPY\x01\0${String.fromCharCode(head.length)}\0${head}`, "latin1"),
    new Uint8Array(values.buffer),
  ]);
}

test("face vectors of other programs: one tensor of any name, [512], and numpy's files", async () => {
  const vector = noise(11, 1, 512);
  const values = new Float32Array(vector.data.buffer, vector.data.byteOffset, 512);
  const of = (file: string) => here.drawn(...WITH_V2, "--id-embeds", file);
  const want = await of(await here.tensors("id_embeds", { id_embeds: vector }));
  for (const file of [
    await here.tensors("pmid", { "pmid.id_embeds": vector }),
    await here.tensors("other", { embedding: { ...vector, shape: [512] } }),
    await here.write("one.npy", npy([512], values)),
    await here.write("fortran.npy", npy([1, 512], values, "True")),
  ])
    expect(levelsApart(await of(file), want), file).toBe(0);
  expect(await here.refused(...WITH_V2)).toMatchObject({
    code: "id-embeds/missing",
    remedy: expect.stringContaining("--id-embeds"),
  });
});

test.each([
  ["zeros", new Float32Array(512), /photo 1 is all zeros/],
  ["no numbers", new Float32Array(512).fill(Number.NaN), /not a number/],
])("a face vector of %s is refused as such", async (name, values, problem) => {
  const refused = await here.refused(
    ...WITH_V2,
    "--id-embeds",
    await here.tensors(name, { id_embeds: single([...values], [1, 512]) }),
  );
  expect(refused.code).toBe("id-embeds/no-face");
  expect(refused.problem).toMatch(problem);
});
