import { appendFile, readFile } from "node:fs/promises";
import { asDiskError, writeFileAtomically } from "../core/atomic-file.node.ts";
import { systemCode } from "../core/errors.ts";

export interface MetricsLine {
  /** Updates done. */
  readonly step: number;
  readonly [name: string]: number;
}

/** A run's measurements: a file with one line of JSON per report. */
export class MetricsFile {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  async append(line: MetricsLine): Promise<void> {
    try {
      await appendFile(this.#path, `${JSON.stringify(line)}\n`);
    } catch (error) {
      throw asDiskError(error, this.#path);
    }
  }

  /** Drops the lines written after the checkpoint that the run resumes from. */
  async cutAfter(step: number): Promise<void> {
    const kept = (await this.read()).filter((line) => line.step <= step);
    await writeFileAtomically(this.#path, (sink) =>
      sink.write(new TextEncoder().encode(kept.map((line) => `${JSON.stringify(line)}\n`).join(""))),
    );
  }

  /** Reads all lines. A last line that a crash cut off is left out. */
  async read(): Promise<MetricsLine[]> {
    try {
      const text = await readFile(this.#path, "utf8");
      const whole = text.slice(0, text.lastIndexOf("\n") + 1);
      return whole.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as MetricsLine]));
    } catch (error) {
      if (systemCode(error) === "ENOENT") return [];
      throw error;
    }
  }
}
