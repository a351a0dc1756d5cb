import type { Command } from "commander";
import { UserError } from "../../core/errors.ts";
import type { AblationFigure, AblationSummary } from "../../miniature/ablation-results.ts";
import type { CliIo } from "../terminal/io.ts";

interface Flags {
  readonly from: string;
  readonly json?: boolean;
}

const HELP = `
Examples:
  photomaker evaluate ablations
  photomaker evaluate ablations --from ablations --json
`;

export function addEvaluateAblations(evaluate: Command, io: CliIo): void {
  evaluate
    .command("ablations")
    .description('Shows what "photomaker train ablations" measured: means over the seeds with their standard errors.')
    .option("--from <folder>", 'the output folder of "photomaker train ablations"', "ablations")
    .option("--json", "print one JSON list")
    .addHelpText("after", HELP)
    .action((flags: Flags) => show(flags, io));
}

async function show({ from, json = false }: Flags, io: CliIo): Promise<void> {
  const { readAblations, summariseAblations } = await import("../../miniature/ablation-results.ts");
  const rows = summariseAblations(await readAblations(from));
  if (rows.length === 0)
    throw new UserError(
      "ablations/none",
      `${from} has no ablation results.`,
      `Make some first: photomaker train ablations --out ${from}.`,
    );
  io.stdout.write(json ? `${JSON.stringify(rows, null, 2)}\n` : table(rows));
}

/** Heading and digits of each column. */
const COLUMNS: Readonly<Record<AblationFigure, readonly [string, number]>> = {
  faceSimShare: ["likeness share", 3],
  faceSim: ["face sim", 3],
  rank1: ["right of 64", 3],
  hairStyle: ["hair style", 3],
  eyeColour: ["eye colour", 3],
  hairColour: ["hair colour", 3],
  textLoss: ["text lost", 1],
};
const NAMES = Object.keys(COLUMNS) as AblationFigure[];
const [FIRST, WIDTH] = [22, 16];

function table(rows: readonly AblationSummary[]): string {
  const cell = ({ figures }: AblationSummary, name: AblationFigure): string => {
    const { value, error } = figures[name];
    const digits = COLUMNS[name][1];
    return `${value.toFixed(digits)}${error === null ? "" : ` ± ${error.toFixed(digits)}`}`.padEnd(WIDTH);
  };
  const heading = `${"variant".padEnd(FIRST)}${"seeds".padEnd(7)}${NAMES.map((name) => COLUMNS[name][0].padEnd(WIDTH)).join("")}`;
  const lines = rows.map(
    (row) => `${row.variant.padEnd(FIRST)}${String(row.seeds).padEnd(7)}${NAMES.map((name) => cell(row, name)).join("")}`,
  );
  return [heading, ...lines].map((line) => `${line.trimEnd()}\n`).join("");
}
