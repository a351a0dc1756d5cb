import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { askOn } from "./ask.ts";

function terminal(signal = new AbortController().signal) {
  const [input, output] = [new PassThrough(), new PassThrough()];
  let interrupts = 0;
  const ask = askOn(input, output, signal, () => interrupts++);
  return { input, output, ask, interrupts: () => interrupts };
}

test("each question gets its line, without the spaces around it", async () => {
  const { input, output, ask } = terminal();
  const first = ask("Which? ");
  input.write("  two \r\n");
  expect(await first).toBe("two");
  const second = ask("Sure? ");
  input.write("\n");
  expect(await second).toBe("");
  expect(String(output.read())).toBe("Which? Sure? ");
});

test("the end of the input is no answer, and Ctrl-C ends the question", async () => {
  const { input, ask } = terminal();
  const asked = ask("Which? ");
  input.end();
  expect(await asked).toBeUndefined();
  const stop = new AbortController();
  const other = terminal(stop.signal).ask("Which? ");
  stop.abort(new DOMException("Stopped.", "AbortError"));
  await expect(other).rejects.toMatchObject({ name: "AbortError" });
  await expect(terminal(stop.signal).ask("Which? ")).rejects.toMatchObject({ name: "AbortError" });
});
