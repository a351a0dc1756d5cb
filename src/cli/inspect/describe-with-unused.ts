import { dirname } from "node:path";
import { UserError } from "../../core/errors.ts";
import { idGraph, textGraph, unetGraph, vaeGraph } from "../../sessions/graphs.ts";
import { type Description, describe } from "../../weights/describe.node.ts";
import type { ModelComponent } from "../../weights/model.ts";
import { openAdapter } from "../../weights/open-adapter.node.ts";
import { openModel } from "../../weights/open-model.node.ts";
import { openParts } from "../../weights/open-part.node.ts";
import { readJsonIfThere } from "../../weights/read-json.node.ts";
import { COMPONENTS, type ComponentName } from "../../weights/sdxl-single-file.ts";
import { unusedNotice } from "../../weights/unused-notice.ts";

/**
 * Describes a file or folder as {@link describe} does, and names the tensors that the networks have no place for: of each component of a model, of
 * a component alone, and of an adapter.
 * @throws UserError those of describe
 */
export async function describeWithUnused(path: string): Promise<Description> {
  const description = await describe(path);
  const remarks = await unusedIn(description).catch((error: unknown): string[] => {
    if (error instanceof UserError) return []; // why it cannot be opened is in the description
    throw error;
  });
  return { ...description, remarks: [...description.remarks, ...remarks] };
}

/** Components that a file of this kind may be. */
const ALONE: { readonly [K in Description["kind"]]?: readonly ComponentName[] } = {
  "unet-sdxl": ["unet"],
  vae: ["vae"],
  "clip-text": ["text_encoder"],
  "clip-text-projection": ["text_encoder_2"],
};

async function unusedIn({ path, kind }: Description): Promise<string[]> {
  if (kind === "photomaker-v1" || kind === "photomaker-v2") return unusedInAdapter(path);
  if (kind === "sdxl") {
    const { components } = await openModel(path);
    return COMPONENTS.flatMap((name) => said(name, unusedOf(name, components[name])));
  }
  const parts = await openParts(Object.fromEntries((ALONE[kind] ?? []).map((name) => [name, path])));
  return COMPONENTS.flatMap((name) => {
    const part = parts[name];
    return part === undefined ? [] : [...part.notices.map(({ message }) => message), ...said(name, unusedOf(name, part))];
  });
}

async function unusedInAdapter(path: string): Promise<string[]> {
  const adapter = await openAdapter(path);
  const width = adapter.idEncoder.get("fuse_module.layer_norm.weight")?.shape[0];
  if (width === undefined) return [];
  const config = await readJsonIfThere(dirname(adapter.path), "photomaker-config.json");
  return said("id_encoder", idGraph(adapter, config, width).unused);
}

const said = (where: string, names: readonly string[]): string[] => unusedNotice(where, names).map(({ message }) => message);

/** Names of tensors that a component's network has no place for. */
function unusedOf(name: ComponentName, component: ModelComponent): readonly string[] {
  switch (name) {
    case "unet":
      return unetGraph({ components: { unet: component } }, new Map()).unused;
    case "vae":
      return vaeGraph({ components: { vae: component } }).unused;
    case "text_encoder":
      return textGraph({ components: { text_encoder: component } }, name, new Map()).unused;
    case "text_encoder_2":
      return textGraph({ components: { text_encoder_2: component } }, name, new Map()).unused;
  }
}
