import { runCli } from "./run-cli.ts";

const interrupt = new AbortController();
// asked twice, the system ends the program at once: process.exit would wait for what runs in a worker, and then abort
for (const name of ["SIGINT", "SIGTERM"] as const)
  process.once(name, () => interrupt.abort(new DOMException(`Stopped by ${name}.`, "AbortError")));

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0); // whoever read, such as `head`, has enough
});

process.exitCode = await runCli(
  process.argv.slice(2),
  {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    signal: interrupt.signal,
    now: () => performance.now(),
    peakMemory: () => process.resourceUsage().maxRSS * 1024,
  },
  {
    // imported when needed, so that --help is quick
    load: async (options) => (await import("../pipeline/photomaker.ts")).PhotoMaker.load(options),
    open: async (options) => (await import("../pipeline/photomaker.ts")).PhotoMaker.load(options),
    cache: () => import("../runtime/node/prepare/cache-folder.ts"),
    mini: () => import("../miniature/make.ts"),
    adapter: async () => ({
      ...(await import("../train/adapter/train-adapter.ts")),
      ...(await import("../train/adapter/config.ts")),
    }),
    resolve: async (value, options) => (await import("../weights/hub/index.ts")).resolveHubOrPath(value, options),
    download: async (id, options) => (await import("../weights/hub/index.ts")).downloadModel(id, options),
    describe: async (path) => (await import("../weights/describe.node.ts")).describe(path),
    world: () => import("./world-files.ts"),
  },
);
