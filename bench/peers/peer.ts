import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface, type Interface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { Answer, Request } from "./serve.ts";

/** An engine: its name in tables, and the command that runs it. */
export interface Engine {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
}

/** Lines of its stderr that are shown when it exits unexpectedly. */
const SHOWN = 15;

/** An engine exited unexpectedly; the message has its last output. */
export class EngineError extends Error {}

/** A running engine with its model loaded. */
export class Peer {
  readonly #engine: Engine;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #lines: AsyncIterator<string>;
  #errors = "";

  private constructor(engine: Engine) {
    const [program, ...args] = engine.command;
    this.#engine = engine;
    this.#child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.on("error", (error) => {
      this.#errors += error.message;
    });
    this.#child.stdin.on("error", () => {}); // noticed through the missing answer
    this.#child.stderr.on("data", (data) => {
      this.#errors = (this.#errors + data).slice(-10_000);
    });
    const lines: Interface = createInterface({ input: this.#child.stdout });
    this.#lines = lines[Symbol.asyncIterator]();
  }

  /** Starts an engine and waits until its model is loaded. @returns it with its description of itself */
  static async start(engine: Engine): Promise<{ readonly peer: Peer; readonly about: string }> {
    const peer = new Peer(engine);
    const { ready } = (await peer.#next()) as { ready: string };
    return { peer, about: ready };
  }

  /** Sends a request. @returns undefined if the engine cannot do it */
  async ask(request: Request): Promise<Answer | undefined> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    const answer = (await this.#next()) as Answer | { cannot: string };
    return "cannot" in answer ? undefined : answer;
  }

  async #next(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (!done) return JSON.parse(value);
    const said = this.#errors.trim().split("\n").slice(-SHOWN).join("\n");
    throw new EngineError(`${this.#engine.name} has exited: ${this.#engine.command.join(" ")}\n${said}`);
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined) return;
    const exit = once(this.#child, "exit");
    this.#child.stdin.end();
    const late = setTimeout(() => this.#child.kill("SIGKILL"), 5000);
    await exit;
    clearTimeout(late);
  }
}
