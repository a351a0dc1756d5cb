import { expect, test } from "vitest";
import type { GenerateEvent, Phase } from "../contract/events.ts";
import { pictureTimes, preparations, type TimedEvent } from "./picture-times.ts";

const at = (at: number, phase: Phase, step: number, detail?: string): TimedEvent => ({
  at,
  event: { type: "progress", phase, step, steps: 5, ...(detail !== undefined && { detail }) },
});
const timings = { load: { unet: 4 }, encode: 9, evaluations: [1, 2], decode: 3, total: 30 };
const latents = { initialNoise: new Float32Array(), final: new Float32Array(), dims: [] };
const image: GenerateEvent = { type: "image", index: 0, png: new Uint8Array(), width: 64, height: 48, seed: 0, settings: {} };
const end: TimedEvent[] = [image, { type: "done", seed: 0, timings, modelMemory: 7, latents } as const].map((event) => ({
  at: 30,
  event,
}));

test("ID seconds cover reading, encoding and fusing photos, without loading", () => {
  const events = [
    at(1, "encode", 0, "text"), // photos were read until now
    at(1, "load", 0, "text_encoder"),
    at(3, "load", 1, "text_encoder"),
    at(5, "encode", 1, "text with the person"),
    at(6, "encode", 2, "photos"),
    at(6, "load", 0, "id_encoder"),
    at(9, "load", 1, "id_encoder"),
    at(10, "encode", 3, "fusion"),
    at(10.5, "encode", 5),
  ];
  expect(pictureTimes([...events, ...end])).toEqual({
    width: 64,
    height: 48,
    load: { unet: 4 },
    evaluations: [1, 2],
    decode: 3,
    total: 30,
    modelMemory: 7,
    id: 1 + (10.5 - 6 - 3),
    text: 9 - 2.5,
  });
});

test("plain SDXL has no ID seconds, and an unfinished request has no times", () => {
  expect(pictureTimes([at(0.1, "encode", 0, "text"), ...end])).toMatchObject({ id: 0, text: 9 });
  expect(pictureTimes([at(0.1, "encode", 0, "text"), at(5, "denoise", 1)])).toBeUndefined();
});

test("a model that was prepared is listed with its seconds, one that was only loaded is not", () => {
  const events = [
    at(1, "load", 0, "unet"),
    at(2, "prepare", 1, "unet"),
    at(5, "prepare", 2, "unet"),
    at(7, "load", 1, "unet"),
    at(7, "load", 0, "vae"),
    at(8, "load", 1, "vae"),
  ];
  expect(preparations(events)).toEqual({ unet: 6 });
});
