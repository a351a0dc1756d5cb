import { UserError } from "../core/errors.ts";

/**
 * Loads a package that only some need.
 * @throws UserError jobs/not-installed
 */
export async function optionalPackage<T>(load: () => Promise<T>, name: string, all: string): Promise<T> {
  try {
    return await load();
  } catch (error) {
    throw new UserError("jobs/not-installed", `This queue needs the package ${name}.`, `Install it: npm install ${all}`, {
      cause: error,
    });
  }
}
