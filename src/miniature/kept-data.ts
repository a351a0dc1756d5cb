import { ContentFolder } from "../core/content-folder.node.ts";

/** Pictures of MiniFaces, named by seed, people and version of the drawing code. */
export const drawnPictures = (folder: string): ContentFolder =>
  new ContentFolder(folder, { endings: [".u8"], keys: /^[a-zA-Z]+-\d+-\d+-\d+-[0-9a-f]{8}$/ });

/** Their latents and features, named also by the weights that made them. */
export const encodedPictures = (folder: string): ContentFolder =>
  new ContentFolder(folder, { endings: [".f32"], keys: /^[a-z]+-\d+-\d+-[0-9a-f]{8}$/ });
