// Runs a command as if on an older processor: newer instruction sets are hidden from libraries that query CPUID. Clock, caches
// and memory stay this machine's.
//
//   npx tsx bench/processors/run.ts avx2 npx photomaker bench -m big/sdxl-synthetic.safetensors -a … -i …
//   npx tsx bench/processors/run.ts avx2 npm test
//
// avx512-vnni: no AMX, bfloat16 or half precision (Intel from Ice Lake on; AMD from Zen 4 on, which has bfloat16)
// avx512:      nor VNNI (Skylake-X)
// avx-vnni:    no AVX-512, but VNNI in 256 bits (Intel's laptops from Alder Lake on)
// avx2:        neither (Intel from Haswell to Comet Lake, AMD up to Zen 3)
//
// Needs Linux on x86-64 with `cc`, on a processor that can trap CPUID and has the instructions that are not hidden. Uses a separate cache of prepared
// models, since packed ones are named by the processor that the system reports.
import "../../scripts/show-help.ts";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { cacheOptions } from "../../src/runtime/node/prepare/cache-folder.ts";

const KINDS = ["avx512-vnni", "avx512", "avx-vnni", "avx2"];
const [kind, command, ...commandArguments] = process.argv.slice(2);
if (kind === undefined || !KINDS.includes(kind) || command === undefined)
  throw new Error(`Give a processor (${KINDS.join(", ")}) and a command. See bench/processors/run.ts --help.`);

const folder = mkdtempSync(join(tmpdir(), "processors-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const library = join(folder, "hide-instructions.so");
execFileSync("cc", ["-O2", "-Wall", "-shared", "-fPIC", "-o", library, join(import.meta.dirname, "hide-instructions.c"), "-ldl"]);

const env = {
  ...process.env,
  ORT_DISABLE_TELEMETRY: "1",
  LD_PRELOAD: [library, process.env.LD_PRELOAD ?? ""].join(" ").trim(),
  HIDDEN_FROM: kind,
  PHOTOMAKER_CACHE: `${cacheOptions().folder}-${kind}`,
};
const child = spawn(command, commandArguments, { env, stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal!]));
