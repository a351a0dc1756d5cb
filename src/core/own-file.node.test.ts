import { expect, test } from "vitest";
import { ownFile } from "./own-file.node.ts";

test("a file is found from the module that needs it", () => {
  expect(ownFile("./own-file.node.ts", import.meta.url).href).toBe(new URL("./own-file.node.ts", import.meta.url).href);
});

// package/bundled is shown by package.test.ts, which bundles
test("what is missing from the package is named", () => {
  expect(() => ownFile("./nothing.js", import.meta.url)).toThrow(
    expect.objectContaining({
      code: "package/incomplete",
      message: expect.stringMatching(/core.nothing\.js is missing/),
      remedy: expect.stringContaining("Install photomaker again"),
    }),
  );
});
