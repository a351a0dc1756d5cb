import { type ChildProcess, fork } from "node:child_process";
import { debuglog } from "node:util";
import type { InferenceSession } from "onnxruntime-common";
import { UserError } from "../../core/errors.ts";
import { ownFile } from "../../core/own-file.node.ts";
import { Pending, type PendingAnswer } from "../pending.ts";
import type { Feeds } from "../runtime.ts";
import type { MemoryGauge } from "./memory-gauge.ts";

export type Question =
  | { kind: "load"; session: number; model: Uint8Array; options: InferenceSession.SessionOptions }
  | { kind: "run"; session: number; feeds: Feeds; fetches: readonly string[] }
  | { kind: "release"; session: number };

interface Reply extends PendingAnswer<unknown> {
  /** Bytes that the process holds, and the most that it has held. */
  readonly memory: number;
  readonly peakMemory: number;
}

/** Shows what the libraries write as they write it: NODE_DEBUG=photomaker. */
const debug = debuglog("photomaker");

/** glibc keeps what was freed of small pieces; above this size each piece is given back at once, as a released model's weights should be. */
const GIVE_BACK_ABOVE = "1000000";

/** Asks for pages of 2 MB, where the system gives them on request: fewer faults while memory is first written. Understood by glibc 2.35 and later. */
const LARGE_PAGES = "glibc.malloc.hugetlb=1";
const tunables = (set = process.env.GLIBC_TUNABLES): string =>
  set === undefined ? LARGE_PAGES : set.includes("glibc.malloc.hugetlb") ? set : `${set}:${LARGE_PAGES}`;

/** A process of its own that runs ONNX Runtime: what it does holds up no event loop, and ending it gives back all memory, whatever it was doing. */
export class ModelProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #pending = new Pending<unknown>();
  readonly #gauge: MemoryGauge;
  /** The end of what the process and its libraries have written, for when it ends by itself. */
  #said = "";

  /**
   * @param gauge is told what memory the process holds
   * @throws UserError those of ownFile
   */
  constructor(gauge: MemoryGauge) {
    const program = ownFile("./ort-process.js", import.meta.url);
    this.#gauge = gauge;
    gauge.started(this);
    this.#child = fork(program, {
      serialization: "advanced",
      execArgv: [],
      stdio: ["ignore", "pipe", "pipe", "ipc"], // what libraries write must not come between what the program says
      env: {
        ...process.env,
        ORT_DISABLE_TELEMETRY: "1",
        MALLOC_MMAP_THRESHOLD_: GIVE_BACK_ABOVE,
        GLIBC_TUNABLES: tunables(),
      },
    });
    this.#child.on("message", (reply) => this.#settle(reply as Reply));
    this.#child.on("error", (error) => {
      const known = !this.alive;
      this.#pending.fail(error);
      if (!known) this.#child.kill("SIGKILL"); // nothing will be asked of it any more
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on("data", (bytes: Buffer) => {
        debug(bytes.toString());
        this.#said = (this.#said + bytes.toString()).slice(-MOST_SAID);
      });
    this.#ended = new Promise((resolve) => {
      this.#child.once("close", (code, signal) => {
        this.#pending.fail(ended(code, signal, this.#said));
        gauge.ended(this);
        resolve();
      });
    });
    this.#idle();
  }

  /** False once the process has ended, and its sessions with it. */
  get alive(): boolean {
    return this.#pending.failure === undefined;
  }

  /** @throws UserError if the process ends before it has answered */
  ask(question: Question): Promise<unknown> {
    return this.#pending.ask((id) => {
      this.#hold();
      // a process that takes no question is ending or lost: its end says why
      this.#child.send({ id, ...question }, (error) => error && this.#child.kill("SIGKILL"));
    });
  }

  /** Ends the process at once. What was asked and not answered fails for this reason. */
  async end(reason: Error): Promise<void> {
    this.#pending.fail(reason);
    this.#hold();
    this.#child.kill("SIGKILL");
    if (this.#child.pid !== undefined) await this.#ended;
  }

  #settle(reply: Reply): void {
    this.#gauge.report(this, reply.memory, reply.peakMemory);
    this.#pending.settle(reply);
    if (this.alive && this.#pending.size === 0) this.#idle(); // whoever ends it waits for it, whatever answers still come
  }

  /** A process that is waited for keeps the program alive. */
  #hold(): void {
    for (const each of this.#handles()) each?.ref?.();
  }

  /** An idle process keeps no program alive. */
  #idle(): void {
    for (const each of this.#handles()) each?.unref?.();
  }

  #handles(): readonly (Handle | null | undefined)[] {
    const { stdout, stderr, channel } = this.#child;
    return [this.#child, channel, stdout as Handle | null, stderr as Handle | null]; // pipes are sockets
  }
}

/** What keeps a program alive, or does not. */
interface Handle {
  ref?(): void;
  unref?(): void;
}

/** Characters. */
const MOST_SAID = 2000;

function ended(code: number | null, signal: NodeJS.Signals | null, said: string): UserError {
  if (signal === "SIGKILL")
    return new UserError(
      "runtime/killed",
      "The process that runs the models was killed, most likely because memory ran out.",
      "Close other programs, or ask for smaller pictures or fewer at once; the next request loads the models again.",
    );
  return new UserError(
    "runtime/ended",
    `The process that runs the models has ended (${signal ?? `exit code ${code}`}).${said.trim() === "" ? "" : ` Its last words: ${said.trim()}`}`,
    "Try again: the next request loads the models again. If it ends each time, please report it with the command that you gave.",
  );
}
