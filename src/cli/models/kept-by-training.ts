import { join } from "node:path";
import type { ContentFolder } from "../../core/content-folder.node.ts";
import { drawnPictures, encodedPictures } from "../../miniature/kept-data.ts";
import { keptLatents } from "../../train/adapter/kept-latents.ts";

export interface KeptByTraining {
  readonly what: string;
  readonly entries: ContentFolder;
}

/** Entries in a training's folder that are named by content: they can be deleted and are remade when needed. */
export const keptByTraining = (folder: string): readonly KeptByTraining[] => [
  { what: "latents", entries: keptLatents(join(folder, "latents")) },
  { what: "drawn pictures", entries: drawnPictures(join(folder, "data")) },
  { what: "encoded pictures", entries: encodedPictures(join(folder, "data")) },
];
