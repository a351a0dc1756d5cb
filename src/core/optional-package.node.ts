import { UserError } from "./errors.ts";

/**
 * Loads a package that only some need, and that is installed by those.
 * @param load imports it
 * @param use what needs it, as the beginning of a sentence
 * @param packages what is to be installed
 * @throws UserError package/not-installed
 */
export async function optionalPackage<T>(load: () => Promise<T>, use: string, packages: string): Promise<T> {
  try {
    return await load();
  } catch (error) {
    throw new UserError("package/not-installed", `${use} needs a package that is not installed.`, `npm install ${packages}`, {
      cause: error,
    });
  }
}
