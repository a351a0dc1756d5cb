// Prints lines of code and of tests by folder.
//
//   npm run size
import "./show-help.ts";
import { readdirSync, readFileSync } from "node:fs";

type Kind = "code" | "tests";

const folders = new Map<string, Record<Kind, number>>();
for (const path of readdirSync("src", { recursive: true, encoding: "utf8" }).map((name) => name.replaceAll("\\", "/"))) {
  if (!/\.(ts|js)$/.test(path) || path.endsWith("onnx_pb.ts")) continue;
  const folder = path.includes("/") ? path.split("/")[0]! : ".";
  const kind: Kind = path.endsWith(".test.ts") || folder === "testing" ? "tests" : "code";
  const row = folders.get(folder) ?? { code: 0, tests: 0 };
  row[kind] += readFileSync(`src/${path}`, "utf8").split("\n").length - 1;
  folders.set(folder, row);
}
const line = (...cells: [string, unknown, unknown]): void =>
  console.log(cells.map((cell, i) => (i === 0 ? String(cell).padEnd(10) : String(cell).padStart(7))).join(""));
const sum = (kind: Kind): number => [...folders.values()].reduce((all, row) => all + row[kind], 0);
line("src/", "code", "tests");
for (const [name, { code, tests }] of [...folders].sort()) line(name, code, tests);
line("all", sum("code"), sum("tests"));
