#!/usr/bin/env node
import { existsSync } from "node:fs";

process.env.ORT_DISABLE_TELEMETRY ??= "1";

const main = new URL("../dist/cli/main.js", import.meta.url);
if (existsSync(main)) await import(main.href);
else {
  process.stderr.write("error: photomaker has not been built.\nwhat to do: Run `npm run build` in its folder.\n");
  process.exitCode = 1;
}
