import { type ChildProcess, fork } from "node:child_process";
import { debuglog } from "node:util";
import type { InferenceSession } from "onnxruntime-common";
import { UserError } from "../../core/errors.ts";
import { ownFile } from "../../core/own-file.node.ts";
import { Pending, type PendingAnswer } from "../pending.ts";
import type { Feeds } from "../runtime.ts";
import type { MemoryGauge } from "./memory-gauge.ts";

export type Question =
  | { kind: "load"; session: number; model: Uint8Array | string; options: InferenceSession.SessionOptions }
  | { kind: "run"; session: number; feeds: Feeds; fetches: readonly string[] }
  | { kind: "release"; session: number };

interface Reply extends PendingAnswer<unknown> {
  /** Bytes that the process holds; `peakMemory` is its peak. */
  readonly memory: number;
  readonly peakMemory: number;
}

/** Shows the output of libraries immediately, with NODE_DEBUG=photomaker. */
const debug = debuglog("photomaker");

/** Size in bytes above which glibc returns freed memory to the system at once, so that the weights of a released model are returned. */
const GIVE_BACK_ABOVE = "1000000";

/** Setting of glibc 2.35 and later that requests pages of 2 MB, where the system allows it: fewer page faults while memory is first written. */
const LARGE_PAGES = "glibc.malloc.hugetlb=1";
const tunables = (set = process.env.GLIBC_TUNABLES): string =>
  set === undefined ? LARGE_PAGES : set.includes("glibc.malloc.hugetlb") ? set : `${set}:${LARGE_PAGES}`;

/** A process that runs ONNX Runtime: it does not block the event loop, and ending it frees all memory at any time. */
export class ModelProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #pending = new Pending<unknown>();
  readonly #gauge: MemoryGauge;
  /** Last output of the process and its libraries, for the error if it ends by itself. */
  #said = "";

  /**
   * @param gauge receives reports of the process's memory
   * @throws UserError those of ownFile
   */
  constructor(gauge: MemoryGauge) {
    const program = ownFile("./ort-process.js", import.meta.url);
    this.#gauge = gauge;
    gauge.started(this);
    this.#child = fork(program, {
      serialization: "advanced",
      execArgv: [],
      stdio: ["ignore", "pipe", "pipe", "ipc"], // output of libraries must not mix with the program's own
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
      if (!known) this.#child.kill("SIGKILL"); // a failed process gets no further requests
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

  /** Whether the process runs; its sessions end with it. */
  get alive(): boolean {
    return this.#pending.failure === undefined;
  }

  /** Sends a request. @throws UserError runtime/killed or runtime/ended if the process ends before it has answered */
  ask(question: Question): Promise<unknown> {
    return this.#pending.ask((id) => {
      this.#hold();
      // a process that accepts no message is ending or lost: the error comes with its end
      this.#child.send({ id, ...question }, (error) => error && this.#child.kill("SIGKILL"));
    });
  }

  /** Ends the process at once. Unanswered requests fail with this reason. */
  async end(reason: Error): Promise<void> {
    this.#pending.fail(reason);
    this.#hold();
    this.#child.kill("SIGKILL");
    if (this.#child.pid !== undefined) await this.#ended;
  }

  #settle(reply: Reply): void {
    this.#gauge.report(this, reply.memory, reply.peakMemory);
    this.#pending.settle(reply);
    if (this.alive && this.#pending.size === 0) this.#idle(); // when it is being ended, late answers must not release it: the end is awaited
  }

  /** Makes the process keep the program alive, while an answer is awaited. */
  #hold(): void {
    for (const each of this.#handles()) each?.ref?.();
  }

  /** Lets the program end while the process is idle. */
  #idle(): void {
    for (const each of this.#handles()) each?.unref?.();
  }

  #handles(): readonly (Handle | null | undefined)[] {
    const { stdout, stderr, channel } = this.#child;
    return [this.#child, channel, stdout as Handle | null, stderr as Handle | null]; // the pipes are sockets
  }
}

/** A handle that can keep the program alive. */
interface Handle {
  ref?(): void;
  unref?(): void;
}

/** Largest number of characters of output that are kept. */
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
    `The process that runs the models has ended (${signal ?? `exit code ${code}`}).${said.trim() === "" ? "" : ` Its last output: ${said.trim()}`}`,
    "Try again: the next request loads the models again. If it ends each time, please report it with the command that you gave.",
  );
}
