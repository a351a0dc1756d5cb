import { UserError } from "../core/errors.ts";
import { type Rgb8, rgb8 } from "./rgb8.ts";

/**
 * Converts the VAE's output to a picture: x/2 + 1/2, clamped to 0..1, times 255, rounded half to even, all in float32.
 *
 * @param decoded [3, height, width], nominally -1..1
 * @throws UserError output/nan if a value is not a finite number
 * @see diffusers 0.35.2 src/diffusers/image_processor.py VaeImageProcessor.postprocess
 */
export function toPicture(decoded: Float32Array, width: number, height: number): Rgb8 {
  const area = width * height;
  if (decoded.length !== 3 * area) throw new TypeError(`${decoded.length} values do not fill [3, ${height}, ${width}]`);
  const data = new Uint8Array(3 * area);
  let bad = 0;
  for (let channel = 0; channel < 3; channel++)
    for (let i = 0; i < area; i++) {
      const x = decoded[channel * area + i]!;
      if (x - x !== 0) bad++; // infinite or not a number
      const unit = Math.min(1, Math.max(0, Math.fround(x * 0.5 + 0.5)));
      data[i * 3 + channel] = roundHalfEven(Math.fround(unit * 255));
    }
  if (bad > 0)
    throw new UserError(
      "output/nan",
      `The picture cannot be shown: ${bad} of its ${3 * area} values are not numbers (NaN or infinite).`,
      "Most often the VAE overflowed in half precision: run with --precision f32, or use a VAE made for half precision " +
        '("sdxl-vae-fp16-fix"). If that does not help, the checkpoint or a LoRA is damaged, or a LoRA scale is far too large.',
    );
  return rgb8(width, height, data);
}

/** A double this large has no fraction bits: adding it rounds half to even. */
const NO_FRACTION = 1.5 * 2 ** 52;
const roundHalfEven = (x: number): number => x + NO_FRACTION - NO_FRACTION;
