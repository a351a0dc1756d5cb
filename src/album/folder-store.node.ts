import { lstat, readFile, realpath, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeFileAtomically } from "../core/atomic-file.node.ts";
import { systemCode, UserError } from "../core/errors.ts";
import { makeFolder } from "../core/make-folder.node.ts";
import { checkedKey, type Store } from "./store.ts";

/**
 * A store in a folder: a folder a kind, and in it one for each two first letters of ids. Files are written beside their place and then renamed.
 * @throws UserError those of makeFolder and writeFileAtomically; store/outside where a link leads out of the folder
 */
export async function folderStore(folder: string): Promise<Store> {
  await makeFolder(folder);
  const root = await realpath(folder);
  const pathOf = (key: string): string => {
    const [kind, name] = checkedKey(key).split("/") as [string, string];
    return join(root, kind, name.slice(0, 2), name);
  };
  /** Follows no link that somebody put in place of a folder or file. */
  const checkLinks = async (path: string): Promise<void> => {
    for (const part of [dirname(dirname(path)), dirname(path), path]) {
      const found = await lstat(part).catch((error: unknown) => {
        if (systemCode(error) !== "ENOENT") throw error;
      });
      if (!found) return;
      if (found.isSymbolicLink())
        throw new UserError(
          "store/outside",
          "A link in the data folder leads out of it.",
          "Remove the link: the store follows none.",
        );
    }
  };
  return {
    async put(key, bytes) {
      const path = pathOf(key);
      await checkLinks(path);
      await makeFolder(dirname(path));
      await writeFileAtomically(path, (sink) => sink.write(bytes));
    },
    async get(key) {
      const path = pathOf(key);
      await checkLinks(path);
      try {
        return await readFile(path);
      } catch (error) {
        if (systemCode(error) === "ENOENT") return undefined;
        throw error;
      }
    },
    async remove(key) {
      const path = pathOf(key);
      await checkLinks(path);
      await rm(path, { force: true });
    },
    close: async () => undefined,
  };
}
