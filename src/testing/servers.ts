import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { chown, mkdtemp, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { waitFor } from "./wait-for.ts";

/** A server of the tests on loopback, with its data in a temporary folder. */
export interface TestServer {
  readonly port: number;
  /** @param signal another than the one that asks it to end */
  stop(signal?: NodeJS.Signals): Promise<void>;
  start(): Promise<void>;
  /** Ends it and removes its data. */
  close(): Promise<void>;
}

/** Starts redis-server, or says why not. */
export async function redisServer(): Promise<TestServer | string> {
  const program = programNamed("redis-server") ?? programNamed("valkey-server");
  if (program === undefined) return "neither redis-server nor valkey-server is installed";
  const folder = await mkdtemp(join(tmpdir(), "redis-"));
  const options = ["--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "yes"];
  return runServer(folder, (port) => spawn(program, ["--port", String(port), ...options], { stdio: "ignore" }), "SIGTERM");
}

/** Starts Postgres, or says why not. Root may not run it; then the user `postgres` does. */
export async function postgresServer(): Promise<TestServer | string> {
  const bin = postgresFolder();
  if (bin === undefined) return "Postgres is not installed";
  const user: { uid?: number; gid?: number } | undefined = process.getuid?.() === 0 ? userNamed("postgres") : {};
  if (user === undefined) return "root may not run Postgres, and there is no user postgres";
  const folder = await mkdtemp(join(tmpdir(), "postgres-"));
  if (user.uid !== undefined) await chown(folder, user.uid, user.gid!);
  const data = join(folder, "data");
  const common = { ...user, cwd: folder, stdio: "ignore" } as const;
  const making = spawn(
    join(bin, "initdb"),
    ["-D", data, "-U", "photomaker", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"],
    common,
  );
  const [code] = await once(making, "exit");
  if (code !== 0) return `initdb failed with ${code}`;
  const options = ["fsync=off", "listen_addresses=127.0.0.1", `unix_socket_directories=${folder}`].flatMap((o) => ["-c", o]);
  return runServer(
    folder,
    (port) => spawn(join(bin, "postgres"), ["-D", data, "-p", String(port), ...options], common),
    "SIGINT",
  );
}

async function runServer(folder: string, run: (port: number) => ChildProcess, ending: NodeJS.Signals): Promise<TestServer> {
  const port = await freePort();
  let child: ChildProcess | undefined;
  const server: TestServer = {
    port,
    async start() {
      child = run(port);
      await waitFor(() => isListening(port));
    },
    async stop(signal = ending) {
      if (!child) return;
      const ended = once(child, "exit");
      child.kill(signal);
      await ended;
      child = undefined;
    },
    async close() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
  await server.start();
  return server;
}

function programNamed(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(":"), "/usr/sbin"];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

function postgresFolder(): string | undefined {
  const onPath = programNamed("postgres");
  if (onPath !== undefined) return join(onPath, "..");
  const debian = "/usr/lib/postgresql";
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  return versions.map((version) => join(debian, version, "bin")).find((bin) => existsSync(join(bin, "initdb")));
}

function userNamed(name: string): { uid: number; gid: number } | undefined {
  try {
    const id = (what: string): number =>
      Number(execFileSync("id", [what, name], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
    return { uid: id("-u"), gid: id("-g") };
  } catch {
    return undefined;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

const isListening = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
