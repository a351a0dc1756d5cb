import { UserError } from "../../core/errors.ts";
import { exists, refuseBrokenLink } from "../read-json.node.ts";
import { type DownloadOptions, downloadModel, findCached } from "./download-model.ts";
import { parseHubId } from "./hub-id.ts";

/**
 * Where the weights that a user names are: an existing path is taken as it is; else a hub id is looked up in the
 * cache, and downloaded if it is not complete there. The hub is not asked whether it has a newer version.
 *
 * @returns a path that exists
 * @throws UserError path/missing, model/broken-link, and those of downloadModel
 */
export async function resolveHubOrPath(value: string, options: DownloadOptions = {}): Promise<string> {
  if (await exists(value)) return value;
  await refuseBrokenLink(value);
  const id = parseHubId(value);
  if (id === undefined)
    throw new UserError(
      "path/missing",
      `There is no file or folder "${value}".`,
      "Check the path. A repository of the Hugging Face hub is written org/name, org/name@revision or org/name:file.",
    );
  const cached = await findCached(id, options);
  if (cached !== undefined) return cached;
  try {
    return await downloadModel(value, options);
  } catch (error) {
    if (!(error instanceof UserError) || !/^download\/(denied|not-found|offline)$/.test(error.code)) throw error;
    throw new UserError(error.code, `There is no file or folder "${value}" here. ${error.message}`, error.remedy, {
      cause: error,
    });
  }
}
