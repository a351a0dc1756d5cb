import { randomBytes } from "node:crypto";
import { copyFile, link, readdir, readFile, rename, rm, stat, symlink } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { writeFileAtomically } from "../../core/atomic-file.node.ts";
import { makeFolder } from "../../core/make-folder.node.ts";
import type { HubFile } from "./hub-api.ts";

/**
 * The folder of a repository in the cache that all Hugging Face programs share:
 * `blobs/<oid>`, `snapshots/<commit>/<path>` pointing to blobs, and `refs/<revision>` naming commits.
 */
export class RepoCache {
  readonly folder: string;
  readonly blobs: string;

  constructor(cacheDir: string, repo: string) {
    this.folder = join(cacheDir, `models--${repo.replace("/", "--")}`);
    this.blobs = join(this.folder, "blobs");
  }

  snapshot(commit: string): string {
    return join(this.folder, "snapshots", commit);
  }

  /** The commit that a revision stood for when it was last looked up. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (/^[0-9a-f]{40}$/.test(revision)) return revision;
    const text = await readFile(join(this.folder, "refs", revision), "utf8").catch(() => "");
    return /^[0-9a-f]{40}$/.test(text.trim()) ? text.trim() : undefined;
  }

  async remember(revision: string, commit: string): Promise<void> {
    if (revision === commit) return;
    const path = join(this.folder, "refs", revision);
    await makeFolder(dirname(path));
    await writeFileAtomically(path, (sink) => sink.write(new TextEncoder().encode(commit)));
  }

  /** Whether the snapshot has the file, or its blob is there under another name (then it is linked). */
  async has(commit: string, file: HubFile): Promise<boolean> {
    if ((await sizeOf(join(this.snapshot(commit), file.path))) === file.size) return true;
    if ((await sizeOf(join(this.blobs, file.oid))) !== file.size) return false;
    await this.link(commit, file);
    return true;
  }

  /** Puts a blob into a snapshot: a symbolic link, or a hard link or copy where the system has none. */
  async link(commit: string, { path, oid }: HubFile): Promise<void> {
    const target = join(this.snapshot(commit), path);
    const blob = join(this.blobs, oid);
    const made = join(dirname(target), `.${randomBytes(6).toString("hex")}`);
    await makeFolder(dirname(target));
    await symlink(relative(dirname(target), blob), made, "file")
      .catch(() => link(blob, made))
      .catch(() => copyFile(blob, made));
    await rename(made, target).catch(async (error: unknown) => {
      await rm(made, { force: true });
      throw error;
    });
  }

  /** Files of a snapshot, with `/` between folders; none if it is not there. */
  async filesOf(commit: string): Promise<string[]> {
    const root = this.snapshot(commit);
    const entries = await readdir(root, { recursive: true }).catch(() => []);
    const sizes = await Promise.all(entries.map((name) => sizeOf(join(root, name))));
    return entries.filter((_, i) => sizes[i] !== undefined).map((name) => name.split(sep).join("/"));
  }
}

const sizeOf = (path: string): Promise<number | undefined> =>
  stat(path).then(
    (found) => (found.isFile() ? found.size : undefined),
    () => undefined,
  );
