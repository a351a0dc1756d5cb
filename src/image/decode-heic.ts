import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import { systemCode, UserError } from "../core/errors.ts";
import { ownFile } from "../core/own-file.node.ts";
import { type Rgb8, rgb8 } from "./rgb8.ts";

/** The library that decodes HEIC where it is installed: its licence, LGPL, and the patents on HEVC keep it out of this package. */
const LIBRARY = "libheif-js";

/**
 * Decodes a HEIC photo, upright as the file says. It runs in a thread of its own, whose memory, some 13 bytes a pixel, is free again afterwards.
 * @param name of the photo, in errors
 * @throws UserError photo/unreadable if the library is not installed; Error if the photo is damaged
 */
export async function decodeHeic(bytes: Uint8Array, name: string, library = LIBRARY): Promise<Rgb8> {
  const worker = new Worker(ownFile("./heic-worker.js", import.meta.url), {
    workerData: { library: entryOf(library, name), bytes },
    ...{ stdout: true, stderr: true }, // the library prints what it throws
  });
  try {
    return await new Promise((resolve, reject) => {
      worker.once("message", ({ width, height, data }: Rgb8) => resolve(rgb8(width, height, data)));
      worker.once("error", reject);
      worker.once("exit", () => reject(new Error("the thread that decodes HEIC has ended")));
    });
  } finally {
    await worker.terminate();
  }
}

function entryOf(library: string, name: string): string {
  try {
    return createRequire(import.meta.url).resolve(`${library}/wasm-bundle`);
  } catch (error) {
    if (systemCode(error) !== "MODULE_NOT_FOUND") throw error;
    throw new UserError(
      "photo/unreadable",
      `${name} is a HEIC photo, and the library that reads them is not installed.`,
      "Install it beside photomaker: npm install libheif-js. Or save the photo as JPEG: phones do that when a photo is shared or exported as “most compatible”.",
      { cause: error },
    );
  }
}
