/** Changes the size of one channel, [height, width], bilinearly; pixels are squares, and the outermost stand for what lies beyond. */
export function stretch(data: Float32Array, width: number, height: number, toWidth: number, toHeight: number): Float32Array {
  const across = taps(width, toWidth);
  const down = taps(height, toHeight);
  const out = new Float32Array(toWidth * toHeight);
  const row = new Float32Array(width);
  for (let y = 0; y < toHeight; y++) {
    const [above, share] = [down.first[y]! * width, down.share[y]!];
    const below = Math.min(down.first[y]! + 1, height - 1) * width;
    for (let x = 0; x < width; x++) row[x] = data[above + x]! * (1 - share) + data[below + x]! * share;
    for (let x = 0; x < toWidth; x++) {
      const left = across.first[x]!;
      const part = across.share[x]!;
      out[y * toWidth + x] = row[left]! * (1 - part) + row[Math.min(left + 1, width - 1)]! * part;
    }
  }
  return out;
}

/** For each new place, the old one before it, and the share of the one after that. */
function taps(from: number, to: number): { first: Int32Array; share: Float64Array } {
  const first = new Int32Array(to);
  const share = new Float64Array(to);
  for (let i = 0; i < to; i++) {
    const at = Math.min(Math.max(((i + 0.5) * from) / to - 0.5, 0), from - 1);
    first[i] = Math.floor(at);
    share[i] = at - first[i]!;
  }
  return { first, share };
}
