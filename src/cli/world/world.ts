import { join, resolve } from "node:path";
import type { Command } from "commander";
import { UserError } from "../../core/errors.ts";
import { openPictureFiles, STDOUT } from "../generate/picture-files.ts";
import { folderName, wholeNumber } from "../terminal/flag-values.ts";
import type { CliIo } from "../terminal/io.ts";
import { createProgress } from "../terminal/progress.ts";
import type { WorldRequest } from "./world-files.ts";

export interface WorldTools {
  readonly world: () => Promise<Pick<typeof import("./world-files.ts"), "worldSheet" | "renderWorld">>;
}

interface WorldFlags {
  readonly people: string;
  readonly pictures: string;
  readonly seed: string;
  readonly side: string;
  readonly out: string;
  readonly captions?: boolean;
  readonly quiet?: boolean;
}

const ABOUT = `
MiniFaces is a drawn world in which a small PhotoMaker can be trained and evaluated. The seed decides each person: face,
eyes, hair, skin, beard and more. Half of a person's pictures are album pictures (plain photos, from which ID images are
taken); the others show the person in any style, clothes and place and, sometimes, at another age.
`;

const HELP = `
Examples:
  photomaker world sheet --out sheet.png
  photomaker world render --people 20 --pictures 4 --out faces
`;

const SHEET_HELP = `
Each row is a person. The same options give the same pictures.

Examples:
  photomaker world sheet
  photomaker world sheet --people 5 --pictures 6 --seed 7 --side 256 --captions --out people.png
`;

const RENDER_HELP = `
For each picture it writes NAME.png, NAME_mask.png (white where the person is) and a line of index.jsonl: caption, caption
with a full description of the person, class word, identity, face box, landmarks (in units of the picture's side) and
scene. The index is written last.

Examples:
  photomaker world render --out faces
  photomaker world render --people 500 --pictures 8 --side 64 --seed 1 --out faces-64
`;

/** Upper bounds, so that a typo does not fill memory or disk. */
const MOST = { people: 100_000, pictures: 1000, side: 2048, sheetPixels: 100_000_000 };

export function addWorld(program: Command, io: CliIo, { world }: WorldTools): void {
  const command = program
    .command("world")
    .summary("draw people of MiniFaces, the drawn world for training small models")
    .description(`Draws people of MiniFaces.\n${ABOUT}`)
    .addHelpText("after", HELP);
  const flags = (name: string, defaults: { people: number; pictures: number; side: number; out: string }): Command =>
    command
      .command(name)
      .option("--people <n>", "number of people", String(defaults.people))
      .option("--pictures <n>", "pictures per person", String(defaults.pictures))
      .option("--seed <n>", "chooses the people", "0")
      .option("--side <pixels>", "width and height of each picture", String(defaults.side))
      .option("-o, --out <path>", "file or folder to write", defaults.out)
      .option("-q, --quiet", "show no progress");

  flags("sheet", { people: 8, pictures: 8, side: 128, out: "sheet.png" })
    .summary("draw one sheet of many people")
    .description("Draws a sheet of people and their pictures as one PNG file.")
    .option("--captions", "write captions under the pictures")
    .addHelpText("after", SHEET_HELP)
    .action((given: WorldFlags) =>
      withProgress(given, "drawing", async (request) => {
        if (request.people * request.pictures * request.side ** 2 > MOST.sheetPixels)
          throw new UserError(
            "sheet/too-large",
            `${request.people} x ${request.pictures} pictures of ${request.side} pixels are too many for one sheet.`,
            "Choose fewer or smaller ones, or use: photomaker world render",
          );
        const { worldSheet } = await world();
        const files = await openPictureFiles(given.out, io.stdout);
        return files.write(await worldSheet({ ...request, captions: given.captions ?? false }));
      }),
    );
  flags("render", { people: 20, pictures: 4, side: 256, out: "faces" })
    .summary("draw a folder of pictures with masks and labels")
    .description("Draws pictures of people into a folder, with masks, captions and labels.")
    .addHelpText("after", RENDER_HELP)
    .action((given: WorldFlags) =>
      withProgress(given, "drawing", async (request) => {
        const { renderWorld } = await world();
        const folder = resolve(folderName(given.out));
        await renderWorld(request, folder);
        return join(folder, "index.jsonl");
      }),
    );

  /** Reads the flags, runs the work with a progress bar, and prints the resulting path. */
  async function withProgress(given: WorldFlags, label: string, run: (request: WorldRequest) => Promise<string>): Promise<void> {
    const people = wholeNumber(given.people, "--people", 1, MOST.people);
    const pictures = wholeNumber(given.pictures, "--pictures", 1, MOST.pictures);
    const seed = wholeNumber(given.seed, "--seed", 0, Number.MAX_SAFE_INTEGER);
    const side = wholeNumber(given.side, "--side", 16, MOST.side);
    const progress = createProgress(io, { quiet: given.quiet ?? false });
    const onPicture = (done: number) => progress.show({ label, done, total: people * pictures });
    try {
      const path = await run({ people, pictures, seed, side, signal: io.signal, onPicture });
      progress.clear();
      if (path !== STDOUT) io.stdout.write(`${path}\n`);
    } finally {
      progress.clear();
    }
  }
}
