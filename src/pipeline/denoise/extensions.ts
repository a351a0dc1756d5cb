import type { SettledRequest } from "../settle.ts";
import { deepCache } from "./deep-cache.ts";
import type { Checked, UNetExtension } from "./extension.ts";
import { tGate } from "./t-gate.ts";
import { tokenDownsampling } from "./token-downsampling.ts";

/** In the order in which they rewrite the graph, and are fed: what changes layers, what keeps their answers, what splits the graph. */
const EXTENSIONS: readonly ((request: SettledRequest) => UNetExtension | undefined)[] = [tokenDownsampling, tGate, deepCache];

/** What a request asks for. */
export const extensionsOf = (request: SettledRequest): UNetExtension[] => EXTENSIONS.flatMap((of) => of(request) ?? []);

/** @throws UserError those of each extension's check */
export function checkExtensions(extensions: readonly UNetExtension[], model: Omit<Checked, "beside">): void {
  const names = extensions.map(({ name }) => name);
  for (const extension of extensions)
    extension.check?.({ ...model, beside: new Set(names.filter((name) => name !== extension.name)) });
}
