import type { CliIo, TextStream } from "./io.ts";

export interface ProgressLine {
  /** What is being done. */
  readonly label: string;
  readonly done: number;
  readonly total: number;
  /** Progress in words; by default `done/total`. */
  readonly text?: string;
  readonly secondsLeft?: number | undefined;
}

/** Shows progress: as a bar on a terminal, elsewhere as a line now and then. */
export interface ProgressBar {
  show(line: ProgressLine): void;
  /** Prints a note that stays, above the bar. */
  note(message: string): void;
  /** Removes the bar. */
  clear(): void;
}

export interface ProgressOptions {
  readonly quiet?: boolean;
  readonly json?: boolean;
}

const REDRAW_MS = 80;
const LINE_MS = 5000;

export function createProgress({ stderr, env, now }: CliIo, { quiet = false, json = false }: ProgressOptions): ProgressBar {
  const note = (message: string) => {
    if (!json) stderr.write(`${paint("note:", YELLOW, stderr, env)} ${message}\n`);
  };
  if (quiet || json) return { show: () => {}, note, clear: () => {} };
  return stderr.isTTY && env.TERM !== "dumb" ? bar(stderr, now, note) : lines(stderr, now, note);
}

function bar(stream: TextStream, now: () => number, note: ProgressBar["note"]): ProgressBar {
  let drawn = false;
  let label = "";
  let last = Number.NEGATIVE_INFINITY;
  const clear = () => {
    if (drawn) stream.write("\r\x1b[2K");
    drawn = false;
  };
  return {
    show(line) {
      const due = line.label !== label || line.done >= line.total || now() - last >= REDRAW_MS;
      if (!due) return;
      ({ label } = line);
      last = now();
      const full = Math.round(fraction(line) * 24);
      const text = `${label.padEnd(14)} ${"█".repeat(full)}${"░".repeat(24 - full)} ${describe(line)}`;
      stream.write(`\r\x1b[2K${text.slice(0, (stream.columns ?? 80) - 1)}`); // a wrapped line could not be erased
      drawn = true;
    },
    note(message) {
      clear();
      note(message);
    },
    clear,
  };
}

function lines(stream: TextStream, now: () => number, note: ProgressBar["note"]): ProgressBar {
  let label = "";
  let last = Number.NEGATIVE_INFINITY;
  let written = "";
  return {
    show(line) {
      const due = line.label !== label || line.done >= line.total || now() - last >= LINE_MS;
      const text = `${line.label} ${describe(line)}\n`;
      if (!due || text === written) return;
      ({ label } = line);
      last = now();
      written = text;
      stream.write(text);
    },
    note,
    clear: () => {},
  };
}

const fraction = ({ done, total }: ProgressLine): number => (total > 0 ? Math.min(1, Math.max(0, done / total)) : 0);

const describe = ({ done, total, text = `${done}/${total}`, secondsLeft }: ProgressLine): string =>
  secondsLeft === undefined || done >= total ? text : `${text}, ${duration(secondsLeft)} left`;

/** Formats a duration, such as "12 s", "3:05 min" or "1:02:03 h". */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (n: number): string => String(n).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  const [minutes, rest] = [Math.floor(whole / 60), two(whole % 60)];
  return minutes < 60 ? `${minutes}:${rest} min` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${rest} h`;
}

export const RED = 31;
export const YELLOW = 33;

/** Colours text on a terminal, unless NO_COLOR is set (no-color.org). */
export const paint = (text: string, color: number, stream: TextStream, env: CliIo["env"]): string =>
  stream.isTTY && !env.NO_COLOR && env.TERM !== "dumb" ? `\x1b[${color}m${text}\x1b[0m` : text;
