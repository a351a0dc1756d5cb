import { expect, test } from "vitest";
import { faceBox, landmarks, personAt, renderIdImage, renderPicture, renderSvg, sceneAt, sceneSvg } from "./index.ts";

const SIDE = 64;
const places = Array.from({ length: 24 }, (_, i) => [personAt(8, i), sceneAt(8, i, 0, i % 3 === 0 ? "album" : "free")] as const);

test("a picture has the requested size, and its layers add up to the whole except for rounding", async () => {
  for (const [person, scene] of places) {
    const { picture, mask } = await renderPicture(person, scene, SIDE);
    expect([picture.width, picture.height, mask.length]).toEqual([SIDE, SIDE, SIDE * SIDE]);
    const whole = await renderSvg(sceneSvg(person, scene, "picture"), SIDE);
    const alone = await renderSvg(sceneSvg(person, scene, "person"), SIDE);
    let worst = 0;
    for (let i = 0; i < mask.length * 3; i++) {
      const there = whole[Math.floor(i / 3) * 4 + (i % 3)]!;
      worst = Math.max(worst, Math.abs(picture.data[i]! - there));
    }
    expect(worst).toBeLessThanOrEqual(4);
    expect(mask).toEqual(alone.filter((_, i) => i % 4 === 3));
  }
});

test("the mask covers the face: its landmarks wholly, its box nearly", async () => {
  for (const [person, scene] of places) {
    const { mask } = await renderPicture(person, scene, SIDE);
    const at = (x: number, y: number) => mask[Math.floor(y * SIDE) * SIDE + Math.floor(x * SIDE)]!;
    for (const [x, y] of Object.values(landmarks(person, scene))) expect(at(x, y)).toBe(255);
    const { x, y, width, height } = faceBox(person, scene);
    let [inside, count] = [0, 0];
    for (let v = Math.max(0, y); v < Math.min(1, y + height); v += 1 / SIDE)
      for (let u = Math.max(0, x); u < Math.min(1, x + width); u += 1 / SIDE)
        [inside, count] = [inside + at(u, v) / 255, count + 1];
    expect(inside / count).toBeGreaterThan(0.8);
    expect(mask.filter((a) => a === 0).length).toBeGreaterThan(SIDE * SIDE * 0.05);
  }
});

test("landmarks lie where their features do", () => {
  for (const [person, scene] of places) {
    const { leftEye, rightEye, nose, mouthLeft, mouthRight } = landmarks(person, scene);
    expect(leftEye[0]).toBeLessThan(rightEye[0]);
    expect(mouthLeft[0]).toBeLessThan(mouthRight[0]);
    expect(nose[1]).toBeGreaterThan(Math.max(leftEye[1], rightEye[1]));
    expect(Math.min(mouthLeft[1], mouthRight[1])).toBeGreaterThan(nose[1] - 0.01);
  }
});

test("an ID image is centred on the face, on transparency", async () => {
  for (const [person, scene] of places) {
    const image = await renderIdImage(person, scene, SIDE);
    expect(image.length).toBe(SIDE * SIDE * 4);
    const alpha = (x: number, y: number) => image[(y * SIDE + x) * 4 + 3]!;
    expect(alpha(SIDE / 2, SIDE / 2)).toBe(255);
    expect(alpha(0, 0) + alpha(SIDE - 1, 0)).toBe(0);
  }
});

test("alpha is straight", async () => {
  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><path d="M0,0H1V1H0Z" fill="#ff8000" opacity=".5"/></svg>';
  const [r, g, b, a] = await renderSvg(svg, 4);
  expect([r, b, a]).toEqual([255, 0, 128]);
  expect(Math.abs(g! - 128)).toBeLessThanOrEqual(1);
});
