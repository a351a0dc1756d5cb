import { weightsThatSee } from "../../../graph/split-upsampling.ts";
import { readFloats, type TensorEntry } from "../../../weights/index.ts";

/**
 * The kernel of a 3x3 convolution behind an enlargement by 2, as what each corner between source pixels gives to the four pixels of the
 * result that meet in it, which see the same four source pixels: sums of its weights.
 * @param entry [out, C, 3, 3]
 * @returns float32 [4·out, 4·C]: rows by the place in the corner and then output, columns by the place of the source pixel and then channel.
 * Above a corner lies the lower one of two pixels that a source pixel becomes, and left of it the right one.
 */
export async function cornerKernel(entry: TensorEntry): Promise<TensorEntry> {
  const [out, channels] = entry.shape as [number, number];
  const weights = await readFloats(entry);
  const sums = new Float32Array(16 * out * channels);
  for (let place = 0; place < 16; place++) {
    const [below, right, down, across] = [place >> 3, (place >> 2) & 1, (place >> 1) & 1, place & 1];
    const within = weightsThatSee(1 - below, 1 - right, down, across);
    for (let o = 0; o < out; o++) {
      const to = ((place >> 2) * out + o) * 4 * channels + (place & 3) * channels;
      for (let c = 0; c < channels; c++) {
        const from = 9 * (o * channels + c);
        let sum = 0;
        for (const at of within) sum += weights[from + at]!;
        sums[to + c] = sum;
      }
    }
  }
  const bytes = new Uint8Array(sums.buffer);
  return { name: entry.name, dtype: "F32", shape: [4 * out, 4 * channels], source: { kind: "bytes", bytes } };
}
