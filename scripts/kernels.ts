// Assembles src/runtime/node/training/kernels.wat to kernels-bytes.js beside it.
//
//   npm run kernels
import "./show-help.ts";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assembled } from "../src/testing/assembled.ts";

const folder = join(import.meta.dirname, "../src/runtime/node/training");
const bytes = Buffer.from(await assembled(await readFile(join(folder, "kernels.wat"), "utf8"))).toString("base64");
const lines = bytes.match(/.{1,120}/g)!.map((line) => `  "${line}",`);
const text = `// Made of kernels.wat by \`npm run kernels\`.\nexport const kernelBytes = [\n${lines.join("\n")}\n].join("");\n`;
await writeFile(join(folder, "kernels-bytes.js"), text);
