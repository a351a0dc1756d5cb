import { expect, test } from "vitest";
import { z } from "zod";
import { UserError } from "../core/errors.ts";
import type { NumberedEvent, RunLatents } from "./events.ts";
import { toWire, toWireError, WireEvent } from "./wire.ts";

const png = Uint8Array.of(0x89, 0x50, 0x4e, 0x47);
const latents: RunLatents = { initialNoise: new Float32Array(4), final: new Float32Array(4), dims: [1, 4, 1, 1] };
const timings = { load: { unet: 1.5 }, encode: 0.5, evaluations: [1, 2], decode: 0.1, total: 5 };
const EVENTS: readonly NumberedEvent[] = [
  { id: 0, type: "progress", phase: "load", step: 0, steps: 1, detail: "unet" },
  { id: 1, type: "progress", phase: "denoise", step: 1, steps: 2, secondsLeft: 3.5 },
  { id: 2, type: "notice", notice: { code: "prompt/cut", message: "The words x are lost." } },
  { id: 3, type: "preview", step: 1, images: [png, png] },
  {
    id: 4,
    type: "image",
    index: 1,
    png,
    width: 64,
    height: 64,
    seed: 3,
    settings: { prompt: "a", scheduler: undefined, loras: [{ path: "l", scale: 1 }] },
  },
  { id: 5, type: "done", seed: 3, timings, modelMemory: 1e9, latents },
];

const sent = (event: unknown): unknown => JSON.parse(JSON.stringify(event));

test.each(EVENTS.map((event) => [event.type, event] as const))("%s is JSON that matches its schema", (_, event) => {
  const wire = toWire(event);
  expect(sent(wire)).toEqual(wire);
  expect(WireEvent.parse(sent(wire))).toEqual(wire);
  expect(wire.id).toBe(event.id);
  expect(z.fromJSONSchema(z.toJSONSchema(WireEvent)).safeParse(sent(wire)).error).toBeUndefined();
});

test("a notice has one of the listed codes", () => {
  const notice = { code: "prompt/no-such-code", message: "?" };
  expect(WireEvent.safeParse({ id: 0, type: "notice", notice }).error!.issues[0]).toMatchObject({ path: ["notice", "code"] });
});

test("bytes become data URLs, or addresses that the server gives", () => {
  const data = "data:image/png;base64,iVBORw==";
  expect(EVENTS.slice(3, 5).map((event) => toWire(event))).toMatchObject([{ images: [data, data] }, { png: data }]);
  expect(toWire(EVENTS[5]!)).not.toHaveProperty("latents");
  const names = {
    image: (bytes: Uint8Array, index: number) => `/pictures/${index}?${bytes.length}`,
    preview: (_: Uint8Array, index: number, step: number) => `/previews/${index}?v=${step}`,
    latents: ({ dims }: RunLatents) => `/latents/${dims.join("x")}`,
  };
  expect(EVENTS.slice(3).map((event) => toWire(event, names))).toMatchObject([
    { images: ["/previews/0?v=1", "/previews/1?v=1"] },
    { png: "/pictures/1?4", settings: { prompt: "a", loras: [{ path: "l", scale: 1 }] } },
    { latents: "/latents/1x4x1x1" },
  ]);
});

test("anything but an event is refused", () => {
  const { id: _, ...unnumbered } = toWire(EVENTS[0]!);
  for (const wrong of [unnumbered, { ...unnumbered, id: -1 }, { id: 0, type: "picture" }, sent(EVENTS[3])])
    expect(WireEvent.safeParse(wrong).success).toBe(false);
});

test("errors carry a remedy, and internal faults no details", () => {
  const refusal = new UserError("photo/missing", "There is no photo a.", "Check the path.");
  expect(toWireError(refusal)).toEqual({ code: "photo/missing", message: "There is no photo a.", remedy: "Check the path." });
  expect(toWireError(new DOMException("left", "AbortError"))).toMatchObject({ code: "interrupted" });
  const fault = toWireError(new TypeError("at /home/ann/models"));
  expect(fault.code).toBe("internal");
  expect(JSON.stringify(fault)).not.toContain("ann");
});
