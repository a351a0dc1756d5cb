/**
 * RGB from CMYK without colour management: (1 - c)(1 - k), in Pillow's 8-bit arithmetic.
 *
 * @param cmyk [pixels, 4], 255 is full ink
 * @returns [pixels, 3]
 * @see Pillow src/libImaging/Convert.c cmyk2rgb
 */
export function cmykToRgb(cmyk: Uint8Array): Uint8Array {
  const pixels = cmyk.length / 4;
  const rgb = new Uint8Array(pixels * 3);
  for (let i = 0; i < pixels; i++) {
    const light = 255 - cmyk[i * 4 + 3]!;
    for (let c = 0; c < 3; c++) rgb[i * 3 + c] = Math.max(0, light - Math.round((cmyk[i * 4 + c]! * light) / 255));
  }
  return rgb;
}
