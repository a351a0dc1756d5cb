import { readFileSync } from "node:fs";
import { ownFile } from "../core/own-file.node.ts";

/** CLIP's merges, which come with this package: for models that bring no vocabulary of their own. */
export const clipMerges = (): string => readFileSync(ownFile("../../assets/clip/merges.txt", import.meta.url), "utf8");
