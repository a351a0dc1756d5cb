import type { Command } from "commander";
import { type Comparison, compareScores, MEASURE_NAMES, MEASURES } from "../../evaluate/run/scores.ts";
import type { CliIo } from "../terminal/io.ts";

interface Flags {
  readonly promptsRandom?: boolean;
  readonly json?: boolean;
}

const HELP = `
Both runs have been scored, with the same networks, and show the same people, prompts and seeds. The person is the unit: p is by exchange of
the signs of people's differences, and p (Holm) counts that several measures are looked at.

Examples:
  photomaker evaluate compare runs/a runs/b
  photomaker evaluate compare runs/a runs/b --json
`;

export function addEvaluateCompare(evaluate: Command, io: CliIo): void {
  evaluate
    .command("compare")
    .description("Compares two scored runs person by person: the second less the first.")
    .argument("<first>", "folder of a scored run")
    .argument("<second>", "folder of another")
    .option("--prompts-random", "intervals for other prompts too, not only for these")
    .option("--json", "print one JSON object")
    .addHelpText("after", HELP)
    .action(async (first: string, second: string, { json = false, promptsRandom = false }: Flags) => {
      const { readScores } = await import("../../evaluate/run/read-scores.node.ts");
      const [a, b] = [await readScores(first), await readScores(second)];
      const comparison = compareScores(a, b, { promptsAreRandom: promptsRandom });
      io.stdout.write(json ? `${JSON.stringify(forJson(comparison), null, 1)}\n` : comparisonText(comparison));
    });
}

const forJson = (comparison: Comparison) =>
  Object.fromEntries(
    Object.entries(comparison).map(([name, { ofPeople, ...rest }]) => [name, { ...rest, ofPeople: [...ofPeople] }]),
  );

/** A comparison as a table. */
export function comparisonText(comparison: Comparison): string {
  const heading = `${"second less first".padEnd(26)}${"difference".padEnd(12)}${"interval".padEnd(24)}${"p".padEnd(10)}${"p (Holm)".padEnd(10)}could have shown`;
  const lines = MEASURE_NAMES.flatMap((name) => {
    const found = comparison[name];
    if (found === undefined) return [];
    const { title, digits } = MEASURES[name];
    const number = (v: number): string => v.toFixed(digits);
    const interval = `[${number(found.low)}, ${number(found.high)}]`;
    return `${title.padEnd(26)}${number(found.value).padEnd(12)}${interval.padEnd(24)}${found.p.toFixed(4).padEnd(10)}${found.pHolm.toFixed(4).padEnd(10)}${number(found.smallest)}`;
  });
  return [heading, ...lines].map((line) => `${line.trimEnd()}\n`).join("");
}
