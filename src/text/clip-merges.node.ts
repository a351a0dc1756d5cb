import { readFileSync } from "node:fs";

/** CLIP's merges, which come with this package: for models that bring no vocabulary of their own. */
export const clipMerges = (): string => readFileSync(new URL("../../assets/clip/merges.txt", import.meta.url), "utf8");
