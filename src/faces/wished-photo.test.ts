import { expect, test } from "vitest";
import { wishedPhoto } from "./wished-photo.ts";

test.each([
  ["family.jpg#2", "family.jpg", 1],
  ["family.jpg#largest", "family.jpg", "largest"],
  ["a/b#c.jpg", "a/b#c.jpg", undefined],
  ["friends.jpg@0.31,0.4", "friends.jpg", { at: [0.31, 0.4] }],
  ["me@home.jpg", "me@home.jpg", undefined],
  ["me@home.jpg@1,.5", "me@home.jpg", { at: [1, 0.5] }],
  ["#2", "#2", undefined],
])("%s", (name, path, wish) => {
  expect(wishedPhoto(name)).toEqual(wish === undefined ? { path } : { path, wish });
});
