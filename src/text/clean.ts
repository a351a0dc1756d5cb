/**
 * Cleans text as the Python CLIPTokenizer does when ftfy is not installed, which is what diffusers' SDXL pipelines load:
 * control characters dropped, Chinese characters set apart, composed (NFC), lower case.
 * @see huggingface/transformers src/transformers/models/clip/tokenization_clip.py BasicTokenizer
 */
export function cleanText(text: string): string {
  const spaced = [...text]
    .filter((c) => c !== "\0" && c !== "\ufffd" && (SPACE.test(c) || !CONTROL.test(c)))
    .map((c) => (SPACE.test(c) ? " " : isIdeograph(c.codePointAt(0)!) ? ` ${c} ` : c))
    .join("");
  return spaced
    .normalize("NFC")
    .split(/\s+/u)
    .filter((word) => word !== "")
    .map((word) => word.toLowerCase())
    .join(" ");
}

const SPACE = /^[ \t\n\r\p{Zs}]$/u;
const CONTROL = /^\p{C}$/u;

/** CJK Unified Ideographs and their extensions and compatibility forms; not kana or hangul. */
const IDEOGRAPHS: readonly (readonly [number, number])[] = [
  [0x4e00, 0x9fff],
  [0x3400, 0x4dbf],
  [0x20000, 0x2a6df],
  [0x2a700, 0x2b73f],
  [0x2b740, 0x2b81f],
  [0x2b820, 0x2ceaf],
  [0xf900, 0xfaff],
  [0x2f800, 0x2fa1f],
];
const isIdeograph = (code: number): boolean => IDEOGRAPHS.some(([from, to]) => code >= from && code <= to);

/** CLIP's words: endings such as 's, runs of letters, single digits, runs of anything else. openai/CLIP simple_tokenizer.py */
export const WORDS = /'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+/giu;

/** Removes the spaces that decoding puts before punctuation: transformers' clean_up_tokenization. */
export function tidySpaces(text: string): string {
  return text
    .replaceAll(" .", ".")
    .replaceAll(" ?", "?")
    .replaceAll(" !", "!")
    .replaceAll(" ,", ",")
    .replaceAll(" ' ", "'")
    .replaceAll(" n't", "n't")
    .replaceAll(" 'm", "'m")
    .replaceAll(" 's", "'s")
    .replaceAll(" 've", "'ve")
    .replaceAll(" 're", "'re");
}
