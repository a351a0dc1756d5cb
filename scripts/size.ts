// Prints lines of code and of tests by room: a folder of src, or a folder in one, and each room's share of all code.
//
//   npm run size
import "./show-help.ts";
import { readdirSync, readFileSync } from "node:fs";

type Kind = "code" | "tests";

const rooms = new Map<string, Record<Kind, number>>();
for (const path of readdirSync("src", { recursive: true, encoding: "utf8" }).map((name) => name.replaceAll("\\", "/"))) {
  if (!/\.(ts|js)$/.test(path) || path.endsWith("onnx_pb.ts")) continue;
  const room = path.includes("/") ? path.split("/").slice(0, -1).slice(0, 2).join("/") : ".";
  const kind: Kind = path.endsWith(".test.ts") || room.startsWith("testing") ? "tests" : "code";
  const row = rooms.get(room) ?? { code: 0, tests: 0 };
  row[kind] += readFileSync(`src/${path}`, "utf8").split("\n").length - 1;
  rooms.set(room, row);
}
const sum = (kind: Kind): number => [...rooms.values()].reduce((all, row) => all + row[kind], 0);
const all = sum("code");
const line = (name: string, ...cells: (string | number)[]): void =>
  console.log(name.padEnd(18) + cells.map((cell) => String(cell).padStart(8)).join(""));
line("src/", "code", "tests", "share");
for (const [name, { code, tests }] of [...rooms].sort()) line(name, code, tests, `${((100 * code) / all).toFixed(1)} %`);
line("all", all, sum("tests"));
