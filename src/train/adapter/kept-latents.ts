import { ContentFolder } from "../../core/content-folder.node.ts";

/** Latents of pictures, one file each, named by hash of the picture's bytes, VAE and resolution. */
export const keptLatents = (folder: string): ContentFolder =>
  new ContentFolder(folder, { endings: [".f32"], keys: /^[0-9a-f]{24}-[0-9a-f]{12}-\d+$/ });
