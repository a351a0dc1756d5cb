import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

function run(work: string): (number | string | null)[] {
  const url = JSON.stringify(new URL("./say-lost-end.ts", import.meta.url));
  const program = `const { sayLostEnd } = await import(${url});
    const { writeSync } = await import("node:fs");
    const finished = sayLostEnd(process, (text) => writeSync(2, text));
    ${work}`;
  const { status, stderr } = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program], {
    encoding: "utf8",
  });
  return [status, stderr];
}

test.each(["void new Promise(() => {});", "await new Promise(() => {});"])("%s: an end before the result is said", (work) => {
  const [status, stderr] = run(work);
  expect(status).toBe(70);
  expect(stderr).toContain("error: photomaker has a fault: it ended before its work did.\nwhat to do: ");
});

test("an end with a result is not", () => {
  expect(run("await Promise.resolve(); process.exitCode = 1; finished();")).toEqual([1, ""]);
});
