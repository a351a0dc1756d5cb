/** A picture in 8-bit RGB; `data` is [height, width, 3]. */
export interface Rgb8 {
  readonly width: number; // pixels
  readonly height: number;
  readonly data: Uint8Array;
}

/** @throws TypeError if the data do not fill the size: the caller's fault, not the user's */
export function rgb8(width: number, height: number, data: Uint8Array): Rgb8 {
  if (data.length !== width * height * 3) throw new TypeError(`${data.length} bytes do not fill ${width}x${height} RGB pixels`);
  return { width, height, data };
}
