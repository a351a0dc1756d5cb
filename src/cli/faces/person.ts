import type { Command } from "commander";
import type { LoadOptions } from "../../contract/request.ts";
import { checkWritable } from "../../core/atomic-file.node.ts";
import { UserError } from "../../core/errors.ts";
import type { Notice } from "../../core/notice.ts";
import type { LoadingOptions } from "../../pipeline/load/local-models.ts";
import { writePerson } from "../../pipeline/person-file.ts";
import type { PhotoMaker } from "../../pipeline/photomaker.ts";
import { ALL_FLAGS } from "../generate/generate-flags.ts";
import { type FlagValues, generateOptions } from "../generate/generate-options.ts";
import { defaultAtHand, type SetupTools } from "../models/setup.ts";
import { loading } from "../terminal/download-progress.ts";
import type { CliIo } from "../terminal/io.ts";
import { createProgress } from "../terminal/progress.ts";

export interface PersonTools extends SetupTools {
  readonly openForPerson: (
    options: LoadOptions,
    how: LoadingOptions,
  ) => Promise<Pick<PhotoMaker, "person" | "notices"> & AsyncDisposable>;
}

/** Flags of `generate` that `person` takes, too. */
const TAKEN = [
  ...["model", "modelConfig", "adapter", "faces", "idEmbeds", "idCrop", "idBackground", "allowSmallFaces"],
  ...["triggerWord", "device", "precision", "threads"],
];

const HELP = `
The file holds what the adapter's ID encoder made of the photos, not the photos: it fits the adapter that made it alone.
"photomaker generate --person FILE" draws the person without photos; --mix takes the file, too.

Examples:
  photomaker person me1.jpg me2.jpg --out me.person.safetensors                      (after photomaker setup)
  photomaker person photos/ family.jpg#2 -m SG161222/RealVisXL_V4.0 -a TencentARC/PhotoMaker --out me.person.safetensors
  photomaker generate --person me.person.safetensors -p "a photo of a man img as a pilot"
`;

export function addPerson(program: Command, io: CliIo, tools: PersonTools): void {
  const command = program
    .command("person")
    .summary("keep a person, to draw without the photos")
    .description("Makes a person of photos and writes it to a file, which generate takes instead of the photos.")
    .argument("<photos...>", "photos of one person, folders or patterns; family.jpg#2 chooses a face")
    .requiredOption("-o, --out <file>", "file to write, such as me.person.safetensors; it is overwritten");
  for (const { key, flags, help } of ALL_FLAGS) if (TAKEN.includes(key)) command.option(flags, help);
  command
    .option("--json", "print what was found as JSON")
    .option("-q, --quiet", "show no progress")
    .addHelpText("after", HELP)
    .action((photos: string[], values: FlagValues) => makePerson(photos, values, io, tools));
}

async function makePerson(photos: string[], { out, ...values }: FlagValues, io: CliIo, tools: PersonTools): Promise<void> {
  const path = String(out);
  if (!/\.safetensors$/i.test(path))
    throw new UserError(
      "out/unknown-format",
      `--out is ${path}, and a person is written as safetensors.`,
      `Name a file such as ${path}.person.safetensors.`,
    );
  const how = { json: values.json === true, quiet: values.quiet === true };
  const given = { ...values, idImage: photos, prompt: "a person" };
  const { load, request, notices } = await generateOptions(given, () => defaultAtHand(how, io, tools));
  if (load.adapter === undefined)
    throw new UserError(
      "id-images/not-wanted",
      "No PhotoMaker adapter is named that could encode the photos.",
      "Give it with --adapter, or choose models with photomaker setup.",
    );
  await checkWritable(path);
  const progress = createProgress(io, how);
  const said: Notice[] = [];
  const tell = (notice: Notice): void => {
    said.push(notice);
    progress.note(notice.message);
  };
  for (const notice of notices) tell(notice);
  try {
    await using pm = await tools.openForPerson(load, loading(io, progress));
    for (const notice of pm.notices) tell(notice);
    progress.show({ label: "encode photos", done: 0, total: 1 });
    const { inputIdImages, idEmbeds, idCrop, idBackground, allowSmallFaces } = request;
    const made = await pm.person(inputIdImages, { idEmbeds, idCrop, idBackground, allowSmallFaces, signal: io.signal });
    progress.clear();
    for (const notice of made.notices) tell(notice);
    io.signal.throwIfAborted();
    await writePerson(path, made.person);
    const { idTokens, adapter, found } = made.person;
    const report = { path, adapter: adapter.name, idTokens: idTokens.dims, found, notices: said };
    io.stdout.write(how.json ? `${JSON.stringify(report, undefined, 2)}\n` : `${path}\n`);
  } finally {
    progress.clear();
  }
}
