import { writeSync } from "node:fs";
import { runCli } from "./run-cli.ts";
import { askOn } from "./terminal/ask.ts";
import { sayLostEnd } from "./terminal/say-lost-end.ts";
import { stopOnSignal } from "./terminal/stop-on-signal.ts";

const finished = sayLostEnd(process, (text) => writeSync(process.stderr.fd, text));

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  finished();
  process.exit(0); // the reader, such as `head`, has closed the pipe
});

const signal = stopOnSignal(process);

// not awaited: if nothing keeps the process alive, Node would end it with exit code 13 and no message
void runCli(
  process.argv.slice(2),
  {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    signal,
    ...(process.stdin.isTTY &&
      process.stderr.isTTY && {
        ask: askOn(process.stdin, process.stderr, signal, () => process.kill(process.pid, "SIGINT")),
      }),
    now: () => performance.now(),
    peakMemory: () => process.resourceUsage().maxRSS * 1024,
  },
  {
    // imported when needed, so that --help is quick
    load: async (options, how) => (await import("../pipeline/photomaker.ts")).PhotoMaker.load(options, how),
    open: async (options, how) => (await import("../pipeline/photomaker.ts")).PhotoMaker.load(options, how),
    cache: () => import("../runtime/node/prepare/cache-folder.ts"),
    mini: () => import("../miniature/make.ts"),
    adapter: async () => ({
      ...(await import("../train/adapter/train-adapter.ts")),
      ...(await import("../train/adapter/config.ts")),
    }),
    download: async (id, options) => (await import("../weights/hub/index.ts")).downloadModel(id, options),
    hub: () => import("../weights/hub/index.ts"),
    byteSpeed: async (now, stop) => (await import("../bench/byte-speed.ts")).byteSpeed(now, stop),
    describe: async (path) => (await import("./inspect/describe-with-unused.ts")).describeWithUnused(path),
    faces: () => import("./faces/look-at-files.ts"),
    world: () => import("./world/world-files.ts"),
  },
).then((code) => {
  finished();
  process.exitCode = code;
});
