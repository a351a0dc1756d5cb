import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { TrainingTask } from "../train/run.ts";
import type { Tensors } from "../weights/index.ts";
import { dataSet, TRAINING_SEED } from "./data-set.ts";
import { encodeIdFeatures, encodePictures } from "./encode-data.ts";
import { vaeTask } from "./vae-task.ts";
import { visionTask } from "./vision-task.ts";

/** Initial weights of a task. */
async function untrained({ weights }: TrainingTask, seed: number): Promise<Tensors> {
  const parameters = weights.layout(() => 0);
  const values = new Float32Array(parameters.reduce((sum, { length }) => sum + length, 0));
  await weights.initialise(values, parameters, seed);
  return new Map(
    parameters.map(({ name, dims, offset, length }) => {
      const bytes = new Uint8Array(values.buffer, offset * 4, length * 4);
      return [name, { name, dtype: "F32", shape: dims, source: { kind: "bytes", bytes } }] as const;
    }),
  );
}

test("latents and features are kept per weights that made them, and computed anew for others", async () => {
  const folder = await mkdtemp(join(tmpdir(), "encode-data-"));
  try {
    const data = await dataSet(folder, { seed: TRAINING_SEED, people: 2 });
    const files = (await readdir(folder)).length;
    const options = { steps: 1, batch: 2, seed: 1 };
    const [vae, vision] = [vaeTask(data, options), visionTask(data, options)];
    const encoded = async (seed: number) => ({
      latents: await encodePictures(folder, data, await untrained(vae, seed)),
      features: await encodeIdFeatures(folder, data, await untrained(vision, seed)),
    });
    const [one, other] = [await encoded(1), await encoded(2)];
    expect(other.latents).not.toEqual(one.latents);
    expect(other.features).not.toEqual(one.features);
    expect(await encoded(1)).toEqual(one);
    expect((await readdir(folder)).length - files).toBe(4);
  } finally {
    await rm(folder, { recursive: true });
  }
});
