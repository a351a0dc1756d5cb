import { ContentFolder } from "../../core/content-folder.node.ts";

/** Latents of pictures, a file each, named for the picture's bytes, the VAE and the size. */
export const keptLatents = (folder: string): ContentFolder =>
  new ContentFolder(folder, { endings: [".f32"], keys: /^[0-9a-f]{24}-[0-9a-f]{12}-\d+$/ });
