import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const src = fileURLToPath(new URL(".", import.meta.url));

/** Operations of the graph, and the layers over weights that are called like them, as in PyTorch's `functional` and `nn`. */
const LAYERS_AND_OPERATIONS = new Set(["linear", "conv2d", "groupNorm", "layerNorm", "prelu"]);

const EXPORT = /^export (?:declare )?(?:abstract )?(?:async )?(?:interface|type|class|enum|const|let|function\*?) (\w+)/gm;

test("an exported name means one thing: no two files declare it", () => {
  const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter(
    (path) => /\.[jt]s$/.test(path) && !/\.(test|d)\.ts$/.test(path) && basename(path) !== "index.ts",
  );
  const declared = new Map<string, string[]>();
  for (const path of files)
    for (const [, name] of readFileSync(join(src, path), "utf8").matchAll(EXPORT))
      declared.set(name!, [...new Set(declared.get(name!)).add(path)]);
  expect(declared.size).toBeGreaterThan(500);
  const twice = [...declared].filter(([name, paths]) => paths.length > 1 && !LAYERS_AND_OPERATIONS.has(name));
  expect(twice).toEqual([]);
});
