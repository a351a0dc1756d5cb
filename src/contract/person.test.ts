import { expect, test } from "vitest";
import { floats } from "../core/array.ts";
import { peopleOf } from "./person.ts";
import { checkPhotos, type GenerateInput, parseGenerateRequest } from "./request.ts";

const prompt = "a man img";
const tokens = floats(new Float32Array(2), 1, 2);
const refusal = (code: string) => expect.objectContaining({ name: "UserError", code });

test("the short form of one person equals a list with one person", () => {
  const of = (given: Omit<GenerateInput, "prompt">) => peopleOf(parseGenerateRequest({ prompt, ...given }));
  expect(of({})).toEqual([]);
  expect(of({ inputIdImages: ["a.png"], idEmbeds: "e" })).toEqual([{ photos: ["a.png"], idEmbeds: "e", weight: 1 }]);
  expect(of({ inputIdImages: ["a.png"], idEmbeds: "e" })).toEqual(of({ people: [{ photos: ["a.png"], idEmbeds: "e" }] }));
  expect(of({ idTokens: tokens })).toEqual(of({ people: [{ idTokens: tokens }] }));
});

test.each<[string, Omit<GenerateInput, "prompt">, string]>([
  ["a second person", { people: [{ photos: ["a"] }, { photos: ["b"] }] }, "people/not-yet"],
  ["a trigger", { people: [{ photos: ["a"], trigger: "ohwx" }] }, "people/not-yet"],
  ["a region", { people: [{ photos: ["a"], region: { x: 0, y: 0, width: 0.5, height: 1 } }] }, "people/not-yet"],
  ["a first step", { people: [{ photos: ["a"], from: 3 }] }, "people/not-yet"],
  ["a hint about shape", { control: [{ model: "m", image: "a.png" }] }, "control/not-yet"],
  ["both forms", { people: [{ photos: ["a"] }], inputIdImages: ["a"] }, "people/given-twice"],
  ["people and ID tokens", { people: [{ photos: ["a"] }], idTokens: tokens }, "people/given-twice"],
])("%s: refused", (_, given, code) => {
  expect(() => parseGenerateRequest({ prompt, ...given })).toThrow(refusal(code));
});

test("fields that are not implemented yet may have values that change nothing", () => {
  parseGenerateRequest({ prompt, people: [{ photos: ["a"], weight: 1 }], control: [] });
});

test.each<[string, boolean, Parameters<typeof checkPhotos>[1], string | undefined]>([
  ["an adapter and nobody", true, {}, "id-images/missing"],
  ["an adapter and a person without photos", true, { people: [{ photos: [], weight: 1 }] }, "id-images/missing"],
  ["an adapter and face embeddings alone", true, { idEmbeds: "e" }, "id-images/missing"],
  ["photos and ID tokens", true, { inputIdImages: ["a"], idTokens: tokens }, "id-tokens/given-twice"],
  ["both in people", true, { people: [{ photos: ["a"], idTokens: tokens, weight: 1 }] }, "id-tokens/given-twice"],
  ["photos without an adapter", false, { people: [{ photos: ["a"], weight: 1 }] }, "id-images/not-wanted"],
  ["face embeddings without an adapter", false, { idEmbeds: "e" }, "id-embeds/not-wanted"],
  ["ID tokens without an adapter", false, { people: [{ photos: [], idTokens: tokens, weight: 1 }] }, "id-tokens/not-wanted"],
  ["an adapter and people", true, { people: [{ photos: ["a"], weight: 1 }] }, undefined],
  ["neither", false, {}, undefined],
])("%s", (_, adapter, request, code) => {
  if (code === undefined) checkPhotos(adapter, request);
  else expect(() => checkPhotos(adapter, request)).toThrow(refusal(code));
});
