import type { FloatArray } from "../core/array.ts";

/** Output of an encoder: arrays by name, which must not be changed. */
export type Encoding = Readonly<Record<string, FloatArray>>;

/**
 * Cache of encoded texts and photos, and of what was seen in photos, so that the same negative text or the same photos are not encoded again. The least recently used
 * entries are removed first. A cache belongs to one set of models.
 */
export class EncodingCache {
  readonly #capacity: number;
  /** Entries in order of use: a map keeps the order of insertion, so the first is the least recently used. */
  readonly #kept = new Map<string, Encoding>();
  #bytes = 0;

  /** @param capacity largest number of bytes of all arrays; 0 caches nothing */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): Encoding | undefined {
    const found = this.#kept.get(key);
    if (found === undefined) return undefined;
    this.#kept.delete(key);
    this.#kept.set(key, found);
    return found;
  }

  set(key: string, encoding: Encoding): void {
    this.#drop(key);
    const size = sizeOf(encoding);
    if (size > this.#capacity) return;
    this.#kept.set(key, encoding);
    this.#bytes += size;
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= this.#capacity) break;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    const old = this.#kept.get(key);
    if (old === undefined) return;
    this.#kept.delete(key);
    this.#bytes -= sizeOf(old);
  }
}

const sizeOf = (encoding: Encoding): number => Object.values(encoding).reduce((sum, { data }) => sum + data.byteLength, 0);

/** Key of an encoder's input: the encoder's name and a SHA-256 of the arrays with their lengths. */
export async function contentKey(
  encoder: string,
  ...contents: readonly (readonly number[] | Float32Array | Uint8Array)[]
): Promise<string> {
  const pieces = contents.flatMap((content) => {
    const values = content instanceof Float32Array || content instanceof Uint8Array ? content : Float64Array.from(content);
    const head = new TextEncoder().encode(`${values.length} ${values.BYTES_PER_ELEMENT} `);
    return [head, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)];
  });
  const joined = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  for (const piece of pieces) {
    joined.set(piece, end);
    end += piece.length;
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", joined));
  return `${encoder} ${Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
