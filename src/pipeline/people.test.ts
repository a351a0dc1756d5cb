import { afterAll, beforeAll, expect, test } from "vitest";
import { FacesReport } from "../contract/faces.ts";
import type { GenerateInput } from "../contract/request.ts";
import { floats } from "../core/array.ts";
import { goldenPath } from "../testing/golden.ts";
import { TINY_V1 } from "../testing/tiny-model.ts";
import { PhotoMaker } from "./photomaker.ts";

const real = (name: string): string => goldenPath("faces", "photos", name);
const [ARDERN, ARDERN_2] = [real("ardern_2018.jpg"), real("ardern_2022.jpg")];
const base = { prompt: "a man img", width: 64, height: 64, numInferenceSteps: 2, startMergeStep: -1, seed: 1 };

let pm: PhotoMaker;
beforeAll(async () => {
  pm = await PhotoMaker.load(TINY_V1);
});
afterAll(() => pm.close());

const final = async (request: Omit<GenerateInput, "prompt">) => (await pm.generate({ ...base, ...request })).latents.final;

test("photos are looked at from code as the command does", async () => {
  const report = FacesReport.parse(await pm.look([ARDERN, ARDERN_2]));
  expect(report.photos.map(({ chosen, reason, faces }) => [chosen, reason, faces[0]!.crop])).toEqual([
    [0, "only", null],
    [0, "only", null],
  ]);
  expect(report.people).toEqual([{ faces: [[0, 0], [1, 0]] }]); // biome-ignore format: a list
  const asked = pm.look([ARDERN], { face: 1 });
  await expect(asked).rejects.toMatchObject({ code: "face/no-such-index" });
  await expect(pm.look("a.jpg" as never)).rejects.toMatchObject({ code: "id-images/wrong-type" });
  await expect(pm.look([ARDERN], { face: -1 })).rejects.toMatchObject({ code: expect.stringMatching(/^people\//) });
});

test("a person of a request has a face, crops and a weight; the short form is the person without these", async () => {
  const whole = await final({ inputIdImages: [ARDERN] });
  expect(await final({ people: [{ photos: [ARDERN], face: 0 }] })).toEqual(whole);
  expect(await final({ people: [{ photos: [ARDERN], crop: [null], weight: 1 }] })).toEqual(whole);
  expect(await final({ people: [{ photos: [ARDERN], crop: [{ x: 0, y: 0, size: 400 }] }] })).not.toEqual(whole);
  const half = await final({ people: [{ photos: [ARDERN], weight: 0.5 }] });
  expect(half).not.toEqual(whole);
});

test("a weight of 0 leaves the class word alone: every person gives the same picture", async () => {
  const [a, b] = [ARDERN, ARDERN_2].map((photo) => final({ people: [{ photos: [photo], weight: 0 }] }));
  expect(await a).toEqual(await b);
});

test("a mixture from code: three ID tokens of ten are the second person's", async () => {
  const [a, b] = [await pm.encodeIdImages([ARDERN]), await pm.encodeIdImages([goldenPath("photos", "person_0.png")])];
  const rows = [...Array<Float32Array>(7).fill(a.data), ...Array<Float32Array>(3).fill(b.data)];
  const idTokens = floats(Float32Array.from(rows.flatMap((row) => [...row])), 10, a.dims[1]!);
  const wanted = await final({ idTokens });
  const mix = [{ photos: [goldenPath("photos", "person_0.png")], share: 0.3 }];
  expect(await final({ inputIdImages: [ARDERN], mix })).toEqual(wanted);
  expect(await final({ inputIdImages: [ARDERN], mix: [{ idTokens: b, share: 0.3 }] })).toEqual(wanted);
});
