import { fileURLToPath } from "node:url";

/** A file that comes with the package. Two folders up from src/cli and from dist/cli. */
export const asset = (path: string): string => fileURLToPath(new URL(`../../assets/${path}`, import.meta.url));
