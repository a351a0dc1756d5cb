import { readFileSync } from "node:fs";

/** CLIP's merges, from this package: for models that come without a vocabulary. */
export const clipMerges = (): string => readFileSync(new URL("../../assets/clip/merges.txt", import.meta.url), "utf8");
