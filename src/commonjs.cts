/** What `require("photomaker")` gives where Node cannot load an ES module by it: Node 20.19, 22.12 and later can. */
const remedy =
  'In CommonJS write: const { PhotoMaker } = await import("photomaker"); inside an async function. Or name your file .mjs and write: import { PhotoMaker } from "photomaker";';
throw Object.assign(new Error(`photomaker is an ES module, and cannot be loaded by require() here. ${remedy}`), {
  code: "package/commonjs",
  remedy,
});
