/** Byte-pair encoding: joins pieces of a word, best pair first. Sennrich et al. 2015 (arXiv 1508.07909). */
export class BytePairs {
  readonly #ranks: ReadonlyMap<string, number>;
  readonly #known = new Map<string, readonly string[]>();

  /** @param merges pairs such as "t h", best first */
  constructor(merges: readonly string[]) {
    this.#ranks = new Map(merges.map((pair, rank) => [pair, rank]));
  }

  /** The pieces of a word written in {@link byteLetters}; the last one ends in `</w>`. */
  split(word: string): readonly string[] {
    const known = this.#known.get(word);
    if (known !== undefined) return known;
    const letters = [...word];
    let pieces = [...letters.slice(0, -1), `${letters.at(-1)}</w>`];
    for (let best = this.#best(pieces); best !== undefined; best = this.#best(pieces)) pieces = join(pieces, best);
    this.#known.set(word, pieces);
    return pieces;
  }

  #best(pieces: readonly string[]): string | undefined {
    let best: string | undefined;
    let rank = Number.POSITIVE_INFINITY;
    for (let i = 0; i + 1 < pieces.length; i++) {
      const pair = `${pieces[i]} ${pieces[i + 1]}`;
      const found = this.#ranks.get(pair);
      if (found === undefined || found >= rank) continue;
      [best, rank] = [pair, found];
    }
    return best;
  }
}

function join(pieces: readonly string[], pair: string): string[] {
  const out: string[] = [];
  for (let i = 0; i < pieces.length; i++) {
    const joins = i + 1 < pieces.length && `${pieces[i]} ${pieces[i + 1]}` === pair;
    out.push(joins ? `${pieces[i]}${pieces[i + 1]}` : pieces[i]!);
    if (joins) i++;
  }
  return out;
}

/** A printable letter for each byte, in the order of CLIP's vocabulary: openai/CLIP simple_tokenizer.py bytes_to_unicode. */
export const byteLetters: readonly { readonly byte: number; readonly letter: string }[] = (() => {
  const printable = (b: number): boolean => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || (b >= 174 && b <= 255);
  const bytes = Array.from({ length: 256 }, (_, b) => b);
  const rest = bytes.filter((b) => !printable(b));
  return [
    ...bytes.filter(printable).map((byte) => ({ byte, letter: String.fromCodePoint(byte) })),
    ...rest.map((byte, i) => ({ byte, letter: String.fromCodePoint(256 + i) })),
  ];
})();
