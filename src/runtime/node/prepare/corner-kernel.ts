import { weightsOnSourcePixel } from "../../../graph/split-upsampling.ts";
import { readFloats, type TensorEntry } from "../../../weights/index.ts";

/**
 * Converts a 3x3 kernel behind an upsampling by 2 to a linear map at each corner between source pixels. The four result pixels that meet in
 * a corner have the same receptive field of four source pixels, weighted by sums of the kernel's weights (`weightsOnSourcePixel`):
 *
 *     A A | B B        A, B, C, D: source pixels, each upsampled to 2x2
 *     A a | b B        a, b, c, d: the result pixels that meet in the corner; each depends on A, B, C and D
 *     ----+----
 *     C c | d D        place in the corner: a 0, b 1, c 2, d 3
 *     C C | D D        source pixel:        A 0, B 1, C 2, D 3
 *
 * @param entry [out, C, 3, 3]
 * @returns float32 [4·out, 4·C]: rows by place in the corner and then output, columns by source pixel and then channel
 */
export async function cornerKernel(entry: TensorEntry): Promise<TensorEntry> {
  const [out, channels] = entry.shape as [number, number];
  const weights = await readFloats(entry);
  const sums = new Float32Array(16 * out * channels);
  for (let place = 0; place < 16; place++) {
    const [below, right, down, across] = [place >> 3, (place >> 2) & 1, (place >> 1) & 1, place & 1];
    const within = weightsOnSourcePixel(1 - below, 1 - right, down, across);
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
