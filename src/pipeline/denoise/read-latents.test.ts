import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { floats } from "../../core/array.ts";
import { writeSafetensors } from "../../weights/safetensors-write.node.ts";
import { readIdEmbeds, readLatents } from "./read-latents.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "latents-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(...names: string[]): Promise<string> {
  const path = join(folder, `${names.join("-")}.safetensors`);
  await writeSafetensors(
    path,
    names.map((name, i) => ({ name, dtype: "F32", shape: [1, 2], data: Float32Array.of(i, i) })),
  );
  return path;
}

test("of several tensors the one of the right name is taken, and a single one under any name", async () => {
  expect([...(await readLatents(await file("latents", "initial_noise"), [1, 2]))]).toEqual([1, 1]);
  expect([...(await readLatents(await file("x"), [1, 2]))]).toEqual([0, 0]);
  await expect(readLatents(await file("a", "b"), [1, 2])).rejects.toMatchObject({
    code: "latents/missing",
    message: expect.stringContaining("it has a, b"),
  });
});

test("face embeddings are found by their name alone", async () => {
  expect(await readIdEmbeds(await file("id_embeds", "other"))).toEqual(floats(Float32Array.of(0, 0), 1, 2));
  await expect(readIdEmbeds(await file("other"))).rejects.toMatchObject({ code: "id-embeds/unnamed" });
});
