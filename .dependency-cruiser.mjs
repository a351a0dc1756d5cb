// The import order of the folders under src/: a folder imports only from rows below its own.
const ROWS = [
  ["cli"],
  ["miniature"],
  ["train", "bench"],
  ["pipeline"],
  ["sessions"],
  ["models", "runtime", "minifaces"],
  ["nn"],
  ["graph", "contract"],
  ["weights", "image", "text", "samplers"],
  ["core"],
];
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
      comment: "These folders do no I/O: a browser runs them as they are.",
      severity: "error",
      from: { path: "^src/(core|contract|graph|nn|models|samplers|text)/", pathNot: "\\.(test|node)\\.ts$" },
      to: { dependencyTypes: ["core"] },
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
