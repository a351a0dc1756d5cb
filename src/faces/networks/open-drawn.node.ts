import { join } from "node:path";
import { z } from "zod";
import { parseConfig } from "../../models/parse-config.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { openAdapter, openTensors } from "../../weights/index.ts";
import { exists, readJsonIfThere } from "../../weights/read-json.node.ts";
import type { CropSides } from "../crop.ts";
import type { FaceNetworks } from "../face.ts";
import { type DrawnFaces, drawnFaceNetworks } from "./drawn-networks.ts";
import { shippedFaceWeights } from "./open-networks.node.ts";

/** Folder of a model of drawn people, with `config.json` and `detector.safetensors`. */
export const DRAWN_FACES = "faces";

const schema = z.looseObject({
  same_person: z.number().min(-1).max(1),
  crop: z.looseObject({
    large: z.number().positive().max(1),
    wide: z.number().positive(),
    narrow: z.number().positive(),
    lower: z.number(),
  }),
});

/** How pictures of a model's people are looked at. */
export interface DrawnFaceTools {
  readonly networks: FaceNetworks;
  /** Cosine from which on two faces are one person's. */
  readonly same: number;
  readonly sides: CropSides;
}

/**
 * Opens the networks of a model folder that has some for its drawn people.
 * @returns undefined for other models: their people are seen by the networks for real photos
 * @throws UserError model/config, package/incomplete, those of readJsonIfThere and openTensors
 */
export async function openDrawnFaces(
  runtime: Runtime,
  folder: string,
  adapter: Pick<DrawnFaces, "idEncoder" | "config">,
): Promise<DrawnFaceTools | undefined> {
  const path = join(folder, DRAWN_FACES, "config.json");
  const config = await readJsonIfThere(path);
  if (config === undefined) return undefined;
  const { same_person: same, crop } = parseConfig(schema, config, path);
  const { tensors } = await openTensors(join(folder, DRAWN_FACES, "detector.safetensors"));
  const networks = drawnFaceNetworks(runtime, shippedFaceWeights, { ...adapter, detector: tensors });
  return { networks, same, sides: crop };
}

/**
 * Opens the networks for the drawn people of a model folder in which the adapter lies too.
 * @throws UserError those of openDrawnFaces and openAdapter
 */
export async function openFacesOf(runtime: Runtime, folder: string): Promise<DrawnFaceTools | undefined> {
  if (!(await exists(join(folder, DRAWN_FACES, "config.json")))) return undefined;
  const { idEncoder } = await openAdapter(folder);
  return openDrawnFaces(runtime, folder, { idEncoder, config: await readJsonIfThere(folder, "photomaker-config.json") });
}
