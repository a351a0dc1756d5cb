/** A repository of the Hugging Face hub, or one file of it. */
export interface HubId {
  /** `org/name` */
  readonly repo: string;
  /** A branch, a tag or a commit. */
  readonly revision?: string;
  /** A path in the repository. */
  readonly file?: string;
}

const NAME = "[A-Za-z0-9](?:[\\w.-]*\\w)?";
const PATTERN = new RegExp(`^(${NAME}/${NAME})(?:@([\\w./-]+))?(?::(.+))?$`);
/** `models/sdxl.safetensors` is a path that does not exist rather than a repository. */
const FILE_NAME = /\.(safetensors|bin|ckpt|pth?|json|gguf|onnx)$/i;

/**
 * Reads `org/name`, `org/name@revision`, `org/name:file` and `org/name@revision:file`.
 * @returns undefined for what cannot be one, such as a path or the name of a file
 */
export function parseHubId(value: string): HubId | undefined {
  const [, repo, revision, file] = PATTERN.exec(value) ?? [];
  if (repo === undefined || repo.length > 96 || /--|\.\./.test(repo) || FILE_NAME.test(repo)) return undefined;
  if (revision !== undefined && !isInside(revision)) return undefined;
  if (file !== undefined && !isInside(file)) return undefined;
  return { repo, ...(revision !== undefined && { revision }), ...(file !== undefined && { file }) };
}

/** Whether a path from elsewhere stays inside the folder that it is joined to, on any system. */
export const isInside = (path: string): boolean =>
  path !== "" && path.split("/").every((part) => part !== "" && part !== "." && part !== ".." && !/[\\\0]|^[a-z]:/i.test(part));
