import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

/** ONNX Runtime's version, found without loading it. */
export function ortVersion(): string {
  const path = createRequire(import.meta.url).resolve("onnxruntime-node/package.json");
  return (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version;
}
