import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { goldenPath } from "../testing/golden.ts";

test.skipIf(process.platform === "win32")(
  "Ctrl-C ends the program while a model runs, before the current evaluation finishes",
  async () => {
    const main = fileURLToPath(new URL("./main.ts", import.meta.url));
    const args = ["generate", "-m", goldenPath("tiny-sdxl"), "-p", "a house", "--width", "1024", "--height", "1024", "-s", "50"];
    const program = spawn(process.execPath, ["--import", "tsx", main, ...args, "-o", "never.png"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const ended = once(program, "exit");
    let said = "";
    program.stderr.on("data", (text: Buffer) => {
      const before = said.includes("load unet 1/1");
      said += text.toString();
      if (before || !said.includes("load unet 1/1")) return;
      program.kill("SIGINT");
    });
    expect(await ended, said).toEqual([130, null]);
    expect(said).toContain("Nothing unfinished was written");
    expect(said).not.toContain("denoise"); // which is shown when an evaluation finishes
  },
);
