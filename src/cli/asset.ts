import { fileURLToPath } from "node:url";

/** Path of a file in the package's assets, two folders up from both src/cli and dist/cli. */
export const asset = (path: string): string => fileURLToPath(new URL(`../../assets/${path}`, import.meta.url));
