import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { NOTICE_CODES } from "./notice-codes.ts";

// The type of Notice lets no code be given that is not listed; here is the other way round.

const src = join(import.meta.dirname, "..");
const files = readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts") && !name.includes("notice-codes") && !name.startsWith("testing"))
  .map((name) => ({ name, text: readFileSync(join(src, name), "utf8") }));
const codes = Object.keys(NOTICE_CODES);

test("every code that is listed is given, and has a test", () => {
  const given = files.filter(({ name }) => !name.endsWith(".test.ts")).map(({ text }) => text);
  const unused = codes.filter(
    (code) => !given.some((text) => text.includes(`code: "${code}"`) || text.includes(`noteAs("${code}")`)),
  );
  expect(unused, `Nothing gives these; take them out of notice-codes.ts:\n${unused.join("\n")}`).toEqual([]);
  const tests = files.filter(({ name }) => name.endsWith(".test.ts")).map(({ text }) => text);
  const untested = codes.filter((code) => !tests.some((text) => text.includes(`"${code}`)));
  expect(untested, `No test has these codes; write one beside the file that gives it:\n${untested.join("\n")}`).toEqual([]);
});

test("the list is in the order of the alphabet", () => {
  expect(codes).toEqual([...codes].sort());
});
