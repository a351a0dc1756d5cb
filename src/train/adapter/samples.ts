import { join } from "node:path";
import { writeFileAtomically } from "../../core/atomic-file.node.ts";
import { makeFolder } from "../../core/make-folder.node.ts";
import { contactSheet, decodePhoto, encodePng, type SheetTile } from "../../image/index.ts";
import { PhotoMaker } from "../../pipeline/photomaker.ts";
import type { TrainingPerson } from "../photos/training-photos.ts";
import type { AdapterConfig } from "./config.ts";

export interface SampleSheetOptions {
  readonly model: string;
  readonly modelConfig?: string | undefined;
  readonly adapter: string;
  readonly config: AdapterConfig;
  readonly people: readonly TrainingPerson[];
  readonly out: string;
  readonly step: number;
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const PEOPLE = 3;

/**
 * Draws a sheet of the first people with the current adapter: an ID image, and a picture for each prompt (or for the person's first
 * caption). @returns the sheet's path
 */
export async function drawSamples(options: SampleSheetOptions): Promise<string> {
  const { model, modelConfig, adapter, config, people, out, step, threads, signal } = options;
  await using photomaker = await PhotoMaker.load({
    model,
    adapter,
    triggerWord: config.trigger,
    ...(modelConfig !== undefined && { modelConfig }),
    ...(threads !== undefined && { threads }),
  });
  const rows: { tiles: SheetTile[] }[] = [];
  for (const { name, photos } of people.slice(0, PEOPLE)) {
    const ids = photos.slice(0, config.idImages).map(({ path }) => path);
    const tiles: SheetTile[] = [{ picture: await decodePhoto(ids[0]!), caption: name }];
    const own = photos[0]!;
    const prompts = config.samplePrompts.map((prompt) => prompt.replace("{class}", `${own.classWord} ${config.trigger}`));
    for (const prompt of prompts.length > 0 ? prompts : [own.prompt]) {
      const side = config.resolution;
      // whole photos, as the adapter is trained with them
      const request = {
        prompt,
        inputIdImages: ids,
        idCrop: "off" as const,
        width: side,
        height: side,
        numInferenceSteps: config.sampleSteps,
        seed: 0,
      };
      const { images } = await photomaker.generate(request, { ...(signal && { signal }) });
      tiles.push({ picture: await decodePhoto(images[0]!.png), caption: prompt });
    }
    rows.push({ tiles });
  }
  const path = join(out, "samples", `step-${String(step).padStart(7, "0")}.png`);
  await makeFolder(join(out, "samples"));
  const png = await encodePng(contactSheet({ rows }));
  await writeFileAtomically(path, (sink) => sink.write(png));
  return path;
}
