import { builtinModules } from "node:module";

// The import order of the folders under src/: a folder imports only from rows below its own.
export const ROWS = [
  ["cli"],
  ["miniature"],
  ["train", "evaluate", "bench"],
  ["pipeline"],
  ["faces"],
  ["sessions"],
  ["models", "runtime", "minifaces"],
  ["nn"],
  ["graph", "contract"],
  ["weights", "image", "text", "samplers", "jobs", "album"],
  ["core"],
];
/** What a browser runs: of weights all but the folder of downloads and the door for Node, of the runtime what is not in a room of its own. */
const BROWSER = "^src/((core|graph|nn|models|samplers|text|contract|sessions)/|(weights|runtime)/[^/]+\\.ts$)";
/** What a browser has not: Node's modules, packages with compiled code, and our files that need them. */
const NODE = `\\.node\\.ts$|^src/(runtime/node|weights/hub)/|node_modules/(sharp|@resvg|onnxruntime-node|@huggingface)/|^(node:)?(${builtinModules.join("|")})$`;
const allow = (folder, others) => ({
  name: `${folder}-imports-only-downwards`,
  severity: "error",
  from: { path: `^src/${folder}/`, pathNot: "\\.test\\.ts$" },
  to: { path: "^src/", pathNot: `^src/(${[folder, ...others].join("|")})/` },
});
const layers = ROWS.flatMap((row, i) => row.map((folder) => allow(folder, ROWS.slice(i + 1).flat())));

export default {
  forbidden: [
    ...layers,
    { name: "no-cycles", severity: "error", from: { path: "^src/" }, to: { circular: true } },
    {
      name: "runs-in-a-browser-too",
      comment: "These files do no I/O and reach none, through whatever chain of imports: a browser runs them as they are.",
      severity: "error",
      from: { path: BROWSER, pathNot: "\\.(test|node)\\.ts$|^src/weights/index\\.ts$" },
      to: { path: NODE, reachable: true },
    },
    {
      name: "sessions-choose-the-runtime",
      comment:
        "A runtime for browsers beside Node's is then chosen in one file. Training in steps has its own, runtime/node/training.",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(runtime|testing)/|^src/sessions/[^/]+\\.node\\.ts$|^src/cli/|\\.test\\.ts$" },
      to: { path: "^src/runtime/node/(?!training/|channel-block|ort-version)" },
    },
    {
      name: "onnxruntime-only-in-runtime",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/runtime/" },
      to: { path: "node_modules/onnxruntime" },
    },
    {
      name: "testing-only-in-tests",
      severity: "error",
      from: { path: "^src/", pathNot: "(\\.test\\.ts$|^src/testing/)" },
      to: { path: "^src/testing/" },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "types"] },
  },
};
