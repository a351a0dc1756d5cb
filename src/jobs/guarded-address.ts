import { UserError } from "../core/errors.ts";

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\]|)$/;

/**
 * Sees that the server of a queue on another machine is reached under a password and encrypted, since whoever reaches it can read every request
 * and set the workers to work.
 * @param trustedNetwork whether the network is closed, as that of containers is
 * @throws UserError jobs/bad-address, jobs/unguarded
 */
export function checkGuarded(address: string, trustedNetwork: boolean): void {
  if (!URL.canParse(address))
    throw new UserError(
      "jobs/bad-address",
      "The address of the queue is not one.",
      "Write it as redis://host:6379 or postgres://user:password@host/database.",
    );
  const url = new URL(address);
  if (trustedNetwork || LOOPBACK.test(url.hostname)) return;
  const encrypted = url.protocol === "rediss:" || /^(require|verify-ca|verify-full)$/.test(url.searchParams.get("sslmode") ?? "");
  const lacks = [...(url.password === "" ? ["a password"] : []), ...(encrypted ? [] : ["encryption"])];
  if (lacks.length === 0) return;
  const better = url.protocol.startsWith("redis")
    ? "rediss://user:password@host"
    : "postgres://user:password@host/database?sslmode=verify-full";
  throw new UserError(
    "jobs/unguarded",
    `The queue at ${url.hostname} would be used without ${lacks.join(" and without ")}.`,
    `Use ${better}, or say that the network is closed to others.`,
  );
}
