import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { UserError } from "./errors.ts";

/**
 * A file that comes with this package and is found from the module that needs it. A bundler moves the module and leaves the
 * file behind; then it is said, as whoever looks for it in vain would only say that something has ended.
 * @param base import.meta.url of the module; in CommonJS that a bundler wrote there is none
 * @throws UserError package/bundled, package/incomplete
 */
export function ownFile(path: string, base: string | undefined): URL {
  const url = base === undefined ? undefined : new URL(path, base);
  if (url !== undefined && existsSync(url)) return url;
  const name = path.replace(/^[./]+/, "");
  if (isOwnModule(import.meta.url))
    throw new UserError(
      "package/incomplete",
      `${fileURLToPath(url!)} is missing, which comes with photomaker.`,
      "Install photomaker again, or build it again (npm run build) if this is a checkout.",
    );
  throw new UserError(
    "package/bundled",
    `photomaker's file ${name} is not beside the code that needs it: a bundler has put photomaker's code into another file, and left ${name} where it was.`,
    "Mark photomaker as external, so that it stays in node_modules: with esbuild --external:photomaker, with others the option of that name.",
  );
}

/** Whether this module still lies in the file that it was written in. */
const isOwnModule = (url: string | undefined): boolean => /\/own-file\.node\.[jt]s$/.test(url ?? "");
