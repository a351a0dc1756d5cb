import { rm } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { z } from "zod";
import type { LoadInput } from "../../contract/request.ts";
import { asDiskError, writeFileAtomically } from "../../core/atomic-file.node.ts";
import { messageOf, systemCode, UserError } from "../../core/errors.ts";
import { makeFolder } from "../../core/make-folder.node.ts";
import { readText } from "../../core/read-text.node.ts";
import { MODEL_SETS, type ModelSet } from "./model-sets.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** Models that `generate` takes where none are named, and how to sample with them. */
export interface DefaultModels {
  /** Name of the set that was chosen. */
  readonly set: string;
  readonly load: LoadInput;
  readonly request: Readonly<Record<string, unknown>>;
}

const settingsFile = z.looseObject({
  default: z
    .object({
      set: z.string(),
      load: z.looseObject({ model: z.string().min(1) }),
      request: z.record(z.string(), z.unknown()).default({}),
    })
    .optional(),
});

/** The user's settings: PHOTOMAKER_CONFIG, or settings.json in the folder for photomaker where the system keeps settings. */
export function settingsPath(env: Env): string {
  if (env.PHOTOMAKER_CONFIG) return resolve(env.PHOTOMAKER_CONFIG);
  return join(systemFolder(env), "photomaker", "settings.json");
}

function systemFolder({ APPDATA, XDG_CONFIG_HOME }: Env): string {
  if (process.platform === "win32") return APPDATA || join(homedir(), "AppData", "Roaming");
  if (process.platform === "darwin") return join(homedir(), "Library", "Application Support");
  // XDG Base Directory 0.8: a relative path is ignored
  return XDG_CONFIG_HOME && isAbsolute(XDG_CONFIG_HOME) ? XDG_CONFIG_HOME : join(homedir(), ".config");
}

/** The default models, or undefined if none were chosen. @throws UserError setup/settings-file, file/denied */
export async function defaultModels(env: Env): Promise<DefaultModels | undefined> {
  const { default: chosen } = await readSettings(settingsPath(env));
  if (chosen === undefined) return undefined;
  // what comes with the package may lie elsewhere by now
  const included = MODEL_SETS.find(({ name, parts }) => name === chosen.set && parts.length === 0);
  return { ...chosen, load: (included?.load ?? chosen.load) as LoadInput };
}

/** Makes a set the default. @throws UserError setup/settings-file, and those of writeFileAtomically and makeFolder */
export async function rememberSet({ name, load, request }: ModelSet, env: Env): Promise<void> {
  const path = settingsPath(env);
  const settings = await readSettings(path);
  await makeFolder(dirname(path));
  await write(path, { ...settings, default: { set: name, load, request } });
}

/**
 * Forgets the default models.
 * @returns whether there were any
 * @throws UserError setup/settings-file, and those of writeFileAtomically
 */
export async function forgetDefault(env: Env): Promise<boolean> {
  const path = settingsPath(env);
  const { default: chosen, ...rest } = await readSettings(path);
  if (chosen === undefined) return false;
  if (Object.keys(rest).length > 0) await write(path, rest);
  else
    await rm(path).catch((error: unknown) => {
      throw asDiskError(error, path);
    });
  return true;
}

const write = (path: string, settings: object): Promise<void> =>
  writeFileAtomically(path, (sink) => sink.write(new TextEncoder().encode(`${JSON.stringify(settings, undefined, 2)}\n`)));

async function readSettings(path: string): Promise<z.output<typeof settingsFile>> {
  let text: string;
  try {
    text = await readText(path);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(systemCode(error) ?? "")) return {};
    throw unreadable(path, messageOf(error), error);
  }
  try {
    return settingsFile.parse(JSON.parse(text));
  } catch (error) {
    throw unreadable(path, error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error), error);
  }
}

const unreadable = (path: string, why: string, cause: unknown): UserError =>
  new UserError(
    "setup/settings-file",
    `The settings in ${path} cannot be read: ${why}.`,
    "Correct the file or remove it, and choose models again: photomaker setup.",
    { cause },
  );
