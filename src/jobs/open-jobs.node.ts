import { UserError } from "../core/errors.ts";
import { createJobs, type JobsOptions } from "./create-jobs.node.ts";
import { checkGuarded } from "./guarded-address.ts";
import type { Jobs } from "./jobs.ts";
import type { Shelf } from "./shelf.ts";
import { sqliteShelf } from "./sqlite-shelf.node.ts";

/** Where the queue is. */
export interface JobsPlace {
  /** A data folder, or the address of a server: `redis://host:port/number`, `rediss://…`, `postgres://user:password@host/database`. */
  readonly address: string;
  /** Tells several queues of one server apart; `photomaker` by default. Letters, digits, `-` and `_`. */
  readonly name?: string;
  /** Whether the network to the server is closed to others, so that neither password nor encryption is asked for. */
  readonly trustedNetwork?: boolean;
}

/**
 * Opens the queue of a data folder or a server. What a server needs is loaded only then.
 * @throws UserError jobs/bad-address, jobs/unguarded, package/not-installed, jobs/unreachable, jobs/newer-version, and those of makeFolder and openSqlite
 */
export async function openJobs(place: JobsPlace, options: JobsOptions): Promise<Jobs> {
  const shelf = await openShelf(place, options.leaseMs);
  try {
    return await createJobs(shelf, options);
  } catch (error) {
    await shelf.close();
    throw error;
  }
}

/** Opens where jobs are kept, as {@link openJobs} does. */
export async function openShelf(
  { address, name = "photomaker", trustedNetwork = false }: JobsPlace,
  leaseMs = 30_000,
): Promise<Shelf> {
  if (!/^[\w-]{1,40}$/.test(name))
    throw new UserError("jobs/bad-address", `"${name}" is no name of a queue.`, "Use letters, digits, - and _.");
  const [, scheme] = /^([a-z][a-z+.-]+):\/\//i.exec(address) ?? [];
  if (scheme === undefined) return sqliteShelf(address);
  switch (scheme.toLowerCase()) {
    case "redis":
    case "rediss":
      checkGuarded(address, trustedNetwork);
      return (await import("./redis-shelf.node.ts")).redisShelf({ address, name, leaseMs });
    case "postgres":
    case "postgresql":
      checkGuarded(address, trustedNetwork);
      return (await import("./postgres-shelf.node.ts")).postgresShelf({ address, name, leaseMs });
    default:
      throw new UserError(
        "jobs/bad-address",
        `There is no queue at ${scheme}://…`,
        "Give redis://host:6379, postgres://user:password@host/database, or a folder.",
      );
  }
}
