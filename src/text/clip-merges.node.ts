import { readFileSync } from "node:fs";
import { ownFile } from "../core/own-file.node.ts";

/** CLIP's merges, from this package: for models that come without a vocabulary. */
export const clipMerges = (): string => readFileSync(ownFile("../../assets/clip/merges.txt", import.meta.url), "utf8");
