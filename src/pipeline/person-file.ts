import { type FloatArray, floats } from "../core/array.ts";
import { UserError } from "../core/errors.ts";
import { openTensors } from "../weights/open-tensors.node.ts";
import { readFloats } from "../weights/read-tensor.ts";
import { writeSafetensors } from "../weights/safetensors-write.node.ts";
import type { UsedFace } from "./encode/person-photos.ts";

/** A person, ready for an adapter: what is kept of photos, so that they are not needed again. */
export interface KeptPerson {
  /** [photos · tokens of each, width]: what the ID encoder made of the photos. */
  readonly idTokens: FloatArray;
  /** Unit vectors of the recogniser that this package ships, [faces, 128]; none where no face was looked for. */
  readonly faceVectors: FloatArray | undefined;
  /** Face embeddings that a V2 adapter was given, [photos, width]. */
  readonly idEmbeds: FloatArray | undefined;
  /** The adapter that made the tokens: a hash of its ID encoder, and its name. */
  readonly adapter: { readonly fingerprint: string; readonly name: string };
  /** What was taken of each photo. */
  readonly found: readonly UsedFace[];
}

const FORMAT = "photomaker-person";
const VERSION = "1";
const TOKENS = "id_tokens";
const VECTORS = "face_vectors";
const EMBEDS = "id_embeds";

/**
 * Writes a person to a safetensors file: `id_tokens`, `face_vectors` and, for V2, `id_embeds`; what was found, and the adapter, are in its metadata.
 * @throws UserError those of writeSafetensors
 */
export async function writePerson(path: string, { idTokens, faceVectors, idEmbeds, adapter, found }: KeptPerson): Promise<void> {
  const tensor = (name: string, array: FloatArray | undefined) =>
    array === undefined ? [] : [{ name, dtype: "F32" as const, shape: array.dims, data: array.data }];
  await writeSafetensors(path, [...tensor(TOKENS, idTokens), ...tensor(VECTORS, faceVectors), ...tensor(EMBEDS, idEmbeds)], {
    ...{ format: FORMAT, version: VERSION },
    ...{ adapter: adapter.name, adapter_fingerprint: adapter.fingerprint, found: JSON.stringify(found) },
  });
}

/**
 * Reads a person's file.
 * @throws UserError person/not-a-person, person/newer, and those of openTensors
 */
export async function readPerson(path: string): Promise<KeptPerson> {
  const { tensors, metadata } = await openTensors(path);
  const refuse = (why: string): UserError =>
    new UserError(
      "person/not-a-person",
      `${path} is not a person's file: ${why}.`,
      "Give one that photomaker person wrote, or the photos themselves with --id-image.",
    );
  if (metadata.format !== FORMAT) throw refuse("it does not say that it is one");
  if (metadata.version !== VERSION)
    throw new UserError(
      "person/newer",
      `${path} is a person's file of version ${metadata.version}, and this program reads version ${VERSION}.`,
      "Write it again from the photos: photomaker person.",
    );
  const read = async (name: string): Promise<FloatArray | undefined> => {
    const entry = tensors.get(name);
    if (entry === undefined) return undefined;
    if (entry.dtype !== "F32" || entry.shape.length !== 2) throw refuse(`${name} is ${entry.dtype} [${entry.shape}]`);
    return floats(await readFloats(entry), ...entry.shape);
  };
  const idTokens = await read(TOKENS);
  if (idTokens === undefined) throw refuse(`it has no ${TOKENS}`);
  return {
    idTokens,
    faceVectors: await read(VECTORS),
    idEmbeds: await read(EMBEDS),
    adapter: { fingerprint: metadata.adapter_fingerprint ?? "", name: metadata.adapter ?? "another adapter" },
    found: foundIn(metadata.found),
  };
}

function foundIn(text = "[]"): readonly UsedFace[] {
  try {
    const found: unknown = JSON.parse(text);
    return Array.isArray(found) ? found : [];
  } catch {
    return []; // it is told, not used
  }
}

/**
 * Refuses a person of another adapter.
 * @throws UserError person/other-adapter
 */
export function checkAdapter(path: string, { adapter }: KeptPerson, fingerprint: string): void {
  if (adapter.fingerprint === fingerprint) return;
  throw new UserError(
    "person/other-adapter",
    `The person in ${path} was made with ${adapter.name}, and the adapter that is loaded is another one: its ID tokens mean something else.`,
    "Give that adapter, or write the person again from the photos: photomaker person.",
  );
}
