import { expect, test } from "vitest";
import { likenessText } from "./likeness-text.ts";

test("a likeness is told with its range, its threshold, and who judges", () => {
  const told = likenessText({ similarity: 0.941, photos: [0.93, 0.952], recogniser: "dlib", same: 0.92, facesChosenBy: "dlib" });
  expect(told).toBe(
    "Likeness: 0.94 to 2 photos, 0.93 to 0.95; one person's is 0.92 or more (dlib's recogniser judges, which has also chosen the faces in the photos; no recogniser has chosen among pictures).",
  );
  const arcface = likenessText({ similarity: 0.5, photos: [0.5], recogniser: "arcface", same: 0.28, facesChosenBy: "dlib" });
  expect(arcface).toMatch(/^Likeness: 0\.50 to 1 photo; .*the pack's recogniser judges; dlib's recogniser has chosen the faces/);
  expect(likenessText({ similarity: null, photos: [], recogniser: "dlib", same: 0.92, facesChosenBy: "dlib" })).toMatch(
    /no face/,
  );
});
