// UNet evaluations and VAE decodes of stable-diffusion.cpp, for run.ts. Each request runs the program for a picture of a few steps
// without guidance, and reads the times that it prints.
//
//   npx tsx bench/peers/sd-cpp-peer.ts --binary <stable-diffusion.cpp's sd> --model <checkpoint> [--arguments <text>] [--threads <count>]
import "../../scripts/show-help.ts";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { sdCppTimes } from "./sd-cpp-output.ts";
import { serve } from "./serve.ts";

const { values: args } = parseArgs({
  options: {
    binary: { type: "string" },
    model: { type: "string" },
    arguments: { type: "string", default: "" },
    threads: { type: "string", default: `${availableParallelism()}` },
  },
});
/** Sampling steps per request. The first is slower, since it allocates buffers. */
const STEPS = 3;

await serve(`stable-diffusion.cpp ${args.arguments}, ${args.threads} threads`, async ({ part, width, height, batch }) => {
  if (batch > 1) return { cannot: "it evaluates one picture at a time" };
  const folder = await mkdtemp(join(tmpdir(), "sd-cpp-"));
  const size = ["-W", `${width}`, "-H", `${height}`, "--steps", `${STEPS}`, "--cfg-scale", "1"];
  const files = ["-m", args.model!, "-o", join(folder, "out.png"), "-t", args.threads];
  try {
    const more = args.arguments.split(" ").filter((word) => word !== "");
    const { stdout, stderr } = await promisify(execFile)(args.binary!, [...files, ...size, "-p", "a photo of a man", ...more], {
      maxBuffer: 2 ** 26,
    });
    const { steps, decode } = sdCppTimes(stdout + stderr, STEPS);
    const seconds = part === "vae" ? decode : steps.slice(1).reduce((sum, step) => sum + step, 0) / (STEPS - 1);
    if (steps.length !== STEPS || seconds === undefined) throw new Error(`no times in the output:\n${stdout}${stderr}`);
    return { seconds };
  } finally {
    await rm(folder, { recursive: true });
  }
});
