import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { parseGenerateRequest } from "../../contract/request.ts";
import { fitInto } from "./fit.ts";
import { drawnSize, regionOf } from "./masked-area.ts";
import { openStart } from "./start-picture.ts";

const SDXL = { factor: 8, side: 1024 };
const blank = async (width: number, height: number): Promise<Uint8Array> =>
  sharp({ create: { width, height, channels: 3, background: "teal" } })
    .png()
    .toBuffer();
const asked = async (picture: Uint8Array, more: object = {}) => {
  const start = await openStart(parseGenerateRequest({ prompt: "a", image: picture, ...more }), SDXL);
  return { size: start!.asked, codes: start!.notices.map(({ code }) => code) };
};

test("the size is the picture's own, down to whole latents; large ones become as large as the model's", async () => {
  expect(await asked(await blank(1021, 517))).toEqual({ size: { width: 1016, height: 512 }, codes: [] });
  expect(await asked(await blank(4000, 3000))).toEqual({ size: { width: 1176, height: 880 }, codes: ["image/scaled"] });
  expect(await asked(await blank(400, 300), { width: 800 })).toEqual({ size: { width: 800, height: 600 }, codes: [] });
  expect(await asked(await blank(400, 300), { height: 150 * 8 })).toEqual({ size: { width: 1600, height: 1200 }, codes: [] });
});

describe("fitting a picture", () => {
  test("stretches by less than a latent, and cuts otherwise, both sides alike", () => {
    expect(fitInto({ width: 1021, height: 517 }, { width: 1016, height: 512 }, 8)).toMatchObject({ width: 1016, cuts: false });
    expect(fitInto({ width: 400, height: 200 }, { width: 100, height: 100 }, 8)).toEqual({
      ...{ width: 200, height: 100, cuts: true },
      crop: { width: 100, height: 100, left: 50, top: 0 },
    });
  });
});

describe("the area of a mask", () => {
  const picture = { width: 1000, height: 600 };
  const box = { left: 480, top: 100, right: 520, bottom: 200 };

  test("is padded and widened to the shape that is asked for", () => {
    expect(regionOf(box, picture, 10, { width: 1024, height: 1024 })).toEqual({ left: 440, top: 90, width: 120, height: 120 });
    expect(regionOf(box, picture, 10, { width: 1024, height: 512 })).toEqual({ left: 380, top: 90, width: 240, height: 120 });
  });

  test("stays inside the picture", () => {
    const corner = { left: 0, top: 560, right: 100, bottom: 600 };
    expect(regionOf(corner, picture, 50, { width: 512, height: 512 })).toEqual({ left: 0, top: 450, width: 150, height: 150 });
  });

  test("is drawn in its own shape where the picture is too small for the other, and never stretched", () => {
    const all = { left: 0, top: 0, right: 1000, bottom: 600 };
    const region = regionOf(all, picture, 0, { width: 1024, height: 1024 });
    expect(region).toEqual({ left: 0, top: 0, ...picture });
    expect(drawnSize(region, { width: 1024, height: 1024 }, 8)).toEqual({ width: 1320, height: 792 });
    expect(drawnSize({ width: 120, height: 119 }, { width: 1024, height: 1024 }, 8)).toEqual({ width: 1024, height: 1024 });
  });
});
