import { floats } from "../core/array.ts";
import type { Rgb8 } from "../image/rgb8.ts";
import { contentKey, type Encoding, type EncodingCache } from "../sessions/encoding-cache.ts";
import { type LookingNetworks, lookAt, type SeenFace, type SeenPhoto } from "./look.ts";
import { type Turn, turned } from "./turn.ts";

/** What is kept of a look, besides vectors: it becomes JSON. */
interface Kept {
  readonly turn: Turn;
  readonly faces: readonly Omit<SeenFace, "vector">[];
}

/**
 * Looks at a photo, or recalls what was seen in the same pixels; then no network is needed. With a cache the vectors of all faces are computed at once.
 * @param picture upright by its EXIF orientation
 */
export async function lookOnce(
  picture: Rgb8,
  networks: LookingNetworks,
  cache: EncodingCache | undefined,
  signal?: AbortSignal,
): Promise<SeenPhoto> {
  if (cache === undefined) return lookAt(picture, networks, signal);
  const key = await contentKey("faces", [picture.width, picture.height], picture.data);
  const known = cache.get(key);
  if (known !== undefined) return recalled(known, picture);
  const seen = await lookAt(picture, networks, signal);
  const vectors: Float32Array[] = [];
  for (const face of seen.faces) vectors.push(await face.vector(signal));
  const kept: Kept = { turn: seen.turn, faces: seen.faces.map(({ vector: _, ...rest }) => rest) };
  const text = Float32Array.from(new TextEncoder().encode(JSON.stringify(kept)));
  const width = vectors[0]?.length ?? 0;
  const joined = new Float32Array(vectors.length * width);
  for (const [i, vector] of vectors.entries()) joined.set(vector, i * width);
  cache.set(key, { text: floats(text, text.length), vectors: floats(joined, vectors.length, width) });
  return seen;
}

function recalled({ text, vectors }: Encoding, picture: Rgb8): SeenPhoto {
  const { turn, faces } = JSON.parse(new TextDecoder().decode(Uint8Array.from(text!.data))) as Kept;
  const width = vectors!.dims[1]!;
  const vectorOf = (i: number): Float32Array => vectors!.data.slice(i * width, (i + 1) * width);
  return { picture: turned(picture, turn), turn, faces: faces.map((face, i) => ({ ...face, vector: async () => vectorOf(i) })) };
}
