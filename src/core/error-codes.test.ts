import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { expect, test } from "vitest";
import { ERROR_CODES, meaningOf, OPTION_FAULTS } from "./error-codes.ts";

const root = join(import.meta.dirname, "../..");
const LIST = "src/core/error-codes.ts";

const files = ["src", "bench"]
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => join(root, folder, name)),
  )
  .filter((path) => path.endsWith(".ts"))
  .map((path) => ({ path: relative(root, path), text: readFileSync(path, "utf8") }));
/** Tests, and suites that several of them run. */
const isTest = ({ path }: { path: string }): boolean => path.endsWith(".test.ts") || path.endsWith("-suite.ts");
const sources = files.filter((file) => !isTest(file) && file.path !== LIST && !file.path.startsWith("src/testing/"));
const tests = files.filter((file) => isTest(file) && !file.path.endsWith("error-codes.test.ts"));

/** Texts in quotes that have the form of a code. */
const codesIn = (text: string): string[] => [...text.matchAll(/"([a-z0-9-]+\/[a-z0-9-]+)"/g)].map(([, code]) => code!);

/** Those that a test has, also where it puts them together, as `zip/${code}` with "corrupt" in the same file. */
function codesOfTest(text: string): string[] {
  const ends = [...text.matchAll(/"([a-z0-9-]+)"/g)].map(([, end]) => end!);
  return [...codesIn(text), ...[...text.matchAll(/`([a-z0-9-]+\/)\$\{/g)].flatMap(([, begin]) => ends.map((end) => begin + end))];
}

const thrown = new Set(sources.flatMap(({ text }) => codesIn(text)));
const tested = new Set(tests.flatMap(({ text }) => codesOfTest(text)));

test("every code that is thrown is listed", () => {
  const unlisted = sources.flatMap(({ path, text }) =>
    [...text.matchAll(/(?:new UserError|\bfail|\brefuse)\(\s*"([^"]+\/[^"]+)"/g)].flatMap(([, code]) =>
      Object.hasOwn(ERROR_CODES, code!) ? [] : [`  "${code}": "<what it means>",   (thrown in ${path})`],
    ),
  );
  expect(unlisted, `Add to ERROR_CODES in ${LIST}, in the order of the alphabet:\n${unlisted.join("\n")}`).toEqual([]);
});

test("every code that is listed is thrown, and has a test", () => {
  const codes = Object.keys(ERROR_CODES);
  const unused = codes.filter((code) => !thrown.has(code));
  expect(unused, `Nothing throws these; take them out of ${LIST}:\n${unused.join("\n")}`).toEqual([]);
  const whereOf = (code: string) => sources.find(({ text }) => text.includes(`"${code}"`))?.path;
  const untested = codes.filter((code) => !tested.has(code)).map((code) => `  "${code}", thrown in ${whereOf(code)}`);
  expect(untested, `No test has these codes; write one beside the file that throws:\n${untested.join("\n")}`).toEqual([]);
});

test("every fault of an option is thrown, and has a test", () => {
  for (const fault of Object.keys(OPTION_FAULTS)) {
    expect(
      sources.filter(({ text }) => text.includes(`"${fault}"`) || text.includes(`/${fault}\``)).length,
      fault,
    ).toBeGreaterThan(0);
    expect([...tested].filter((code) => code.endsWith(`/${fault}`)).length, fault).toBeGreaterThan(0);
  }
});

test("the list is in the order of the alphabet", () => {
  const codes = Object.keys(ERROR_CODES);
  expect(codes).toEqual([...codes].sort());
});

test("a code says what it means", () => {
  expect(meaningOf("prompt/trigger-missing")).toBe("the prompt has no trigger word");
  expect(meaningOf("steps/out-of-range")).toBe("steps: it is too small or too large");
  expect(meaningOf("size/not-multiple-of-16")).toBe("size: it is no multiple of 16");
  for (const none of ["prompt/trigger-mising", "steps", "size/not-multiple-of-x", "toString/x"])
    expect(meaningOf(none)).toBeUndefined();
});
