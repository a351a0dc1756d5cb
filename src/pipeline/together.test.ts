import { afterAll, beforeAll, expect, test } from "vitest";
import type { GenerateEvent } from "../contract/events.ts";
import type { GenerateInput } from "../contract/request.ts";
import { decodePhoto } from "../image/index.ts";
import { goldenPath } from "../testing/golden.ts";
import { TINY_V1 } from "../testing/tiny-model.ts";
import { PhotoMaker } from "./photomaker.ts";

const photo = (name: string): string => goldenPath("photos", `${name}.png`);
const shared: GenerateInput = {
  prompt: "a photo of a man img",
  width: 64,
  height: 64,
  numInferenceSteps: 3,
  scheduler: "euler_a",
};
/** Requests that differ in everything that may differ. */
const REQUESTS: readonly GenerateInput[] = [
  { ...shared, inputIdImages: [photo("person_0")], startMergeStep: 0, seed: 1 },
  {
    ...shared,
    prompt: "a woman img in the rain",
    inputIdImages: [photo("person_1"), photo("other")],
    startMergeStep: 1,
    seed: 2,
  },
  { ...shared, inputIdImages: [photo("other")], numImagesPerPrompt: 2, negativePrompt: "ugly", startMergeStep: -1, seed: 3 },
  {
    ...shared,
    inputIdImages: [photo("other")],
    numImagesPerPrompt: 3,
    seed: 4,
    originalSize: [32, 48],
    negativeOriginalSize: [16, 16],
    negativeTargetSize: [64, 64],
  },
];

let pm: PhotoMaker;
beforeAll(async () => {
  pm = await PhotoMaker.load(TINY_V1);
});
afterAll(() => pm.close());

test.each([1, 5])("requests drawn together give the pictures that each gives alone, at guidance %d", async (guidanceScale) => {
  const requests = REQUESTS.map((request) => ({ ...request, guidanceScale }));
  const together = await pm.generateTogether(requests);
  expect(together.map(({ images }) => images.length)).toEqual([1, 1, 2, 3]);
  for (const [i, request] of requests.entries()) {
    const alone = await pm.generate(request);
    for (const [index, image] of alone.images.entries()) {
      const [expected, got] = [await decodePhoto(image.png), await decodePhoto(together[i]!.images[index]!.png)];
      const off = expected.data.reduce((sum, v, at) => sum + Math.abs(v - got.data[at]!), 0) / expected.data.length;
      expect(off).toBeLessThan(0.1);
      expect(together[i]!.images[index]!.settings).toEqual(image.settings);
    }
  }
});

test("events and notices carry the index of their request", async () => {
  const events: GenerateEvent[] = [];
  const work = pm.generateTogether([REQUESTS[0]!, { ...REQUESTS[0]!, prompt: "a photo of a skateboarder img", seed: 9 }]);
  for await (const event of work) events.push(event);
  const of = (type: GenerateEvent["type"]) => events.flatMap((event) => (event.type === type ? [event.request] : []));
  expect(of("image")).toEqual([0, 1]);
  expect(of("done")).toEqual([0, 1]);
  expect(of("notice")).toContain(1);
  const [first, second] = await work;
  const several = "prompt/class-several-tokens";
  expect(first!.notices.map((n) => n.code)).not.toContain(several);
  expect(second!.notices.map((n) => n.code)).toContain(several);
  expect(second!.latents.dims).toEqual([1, 4, 8, 8]);
  expect(second!.latents.initialNoise).toEqual((await pm.generate({ ...REQUESTS[0]!, seed: 9 })).latents.initialNoise);
});

test("requests that differ in values they must share are refused", async () => {
  const [first, second] = REQUESTS as [GenerateInput, GenerateInput];
  await expect(pm.generateTogether([first, { ...second, numInferenceSteps: 4 }])).rejects.toThrow(/differ in numInferenceSteps/);
  await expect(pm.generateTogether([first, { ...second, width: 72 }])).rejects.toMatchObject({ code: "requests/differ" });
  expect(await pm.generateTogether([])).toEqual([]);
});
