// Lines of code and of tests, folder by folder.
import { readdirSync, readFileSync } from "node:fs";

const folders = new Map();
for (const path of readdirSync("src", { recursive: true }).filter(
  (name) => /\.(ts|js)$/.test(name) && !name.endsWith("onnx_pb.ts"),
)) {
  const folder = path.includes("/") ? path.split("/")[0] : ".";
  const kind = /\.test\.ts$/.test(path) || folder === "testing" ? "tests" : "code";
  const row = folders.get(folder) ?? { code: 0, tests: 0 };
  row[kind] += readFileSync(`src/${path}`, "utf8").split("\n").length - 1;
  folders.set(folder, row);
}
const sum = (kind) => [...folders.values()].reduce((all, row) => all + row[kind], 0);
const line = (name, { code, tests }) => console.log(name.padEnd(10), String(code).padStart(6), String(tests).padStart(6));
console.log("src/".padEnd(10), "  code", " tests");
for (const [name, row] of [...folders].sort()) line(name, row);
line("all", { code: sum("code"), tests: sum("tests") });
