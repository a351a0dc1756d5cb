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

test.each(["void new Promise(() => {});", "await new Promise(() => {});"])("%s: ending before a result is reported", (work) => {
  const [status, stderr] = run(work);
  expect(status).toBe(70);
  expect(stderr).toContain("error: Internal error: photomaker ended before its work was done.\nwhat to do: ");
});

test("ending with a result is not reported", () => {
  expect(run("await Promise.resolve(); process.exitCode = 1; finished();")).toEqual([1, ""]);
});
