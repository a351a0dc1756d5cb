/** A field of a TIFF's directory: its type in TIFF's numbers (2 text, 3 of 16 bits, 4 of 32 bits). */
export interface TiffField {
  readonly tag: number;
  readonly type: 2 | 3 | 4;
  readonly values: readonly number[];
}

export interface TiffPicture {
  readonly width: number;
  readonly height: number;
  /** [height, width, samples], 8 bits each. */
  readonly pixels: Uint8Array;
  /** TIFF's photometric interpretation: 2 is RGB, 8 is CIELab. */
  readonly photometric?: number;
  readonly rowsPerStrip?: number;
  readonly more?: readonly TiffField[];
}

const SIZES = { 2: 1, 3: 2, 4: 4 } as const;

/** A TIFF file as scanners write it: its directory first and its pixels last, not compressed. */
export function tiff({ width, height, pixels, photometric = 2, rowsPerStrip = 8, more = [] }: TiffPicture): Uint8Array {
  const samples = pixels.length / (width * height);
  const strips = Math.ceil(height / rowsPerStrip);
  const rowBytes = width * samples;
  const counts = Array.from({ length: strips }, (_, i) => Math.min(rowsPerStrip, height - i * rowsPerStrip) * rowBytes);
  const fieldsAt = (start: number): TiffField[] =>
    [
      { tag: 256, type: 4, values: [width] },
      { tag: 257, type: 4, values: [height] },
      { tag: 258, type: 3, values: Array<number>(samples).fill(8) },
      { tag: 259, type: 3, values: [1] },
      { tag: 262, type: 3, values: [photometric] },
      { tag: 273, type: 4, values: counts.map((_, i) => start + i * rowsPerStrip * rowBytes) },
      { tag: 277, type: 3, values: [samples] },
      { tag: 278, type: 4, values: [rowsPerStrip] },
      { tag: 279, type: 4, values: counts },
      ...more,
    ].sort((a, b) => a.tag - b.tag) as TiffField[];
  const start = encode(fieldsAt(0)).length;
  return Buffer.concat([encode(fieldsAt(start)), pixels]);
}

/** Header and directory, with the values that do not fit into the directory behind it. */
function encode(fields: readonly TiffField[]): Buffer {
  const directory = Buffer.alloc(8 + 2 + fields.length * 12 + 4);
  directory.write("II*\0", "latin1");
  directory.writeUInt32LE(8, 4);
  directory.writeUInt16LE(fields.length, 8);
  const behind: Buffer[] = [];
  let at = directory.length;
  for (const [i, { tag, type, values }] of fields.entries()) {
    const bytes = Buffer.alloc(Math.max(4, values.length * SIZES[type]));
    values.forEach((value, n) => void bytes.writeUIntLE(value, n * SIZES[type], SIZES[type]));
    const entry = 10 + i * 12;
    directory.writeUInt16LE(tag, entry);
    directory.writeUInt16LE(type, entry + 2);
    directory.writeUInt32LE(values.length, entry + 4);
    if (bytes.length === 4) bytes.copy(directory, entry + 8);
    else {
      directory.writeUInt32LE(at, entry + 8);
      behind.push(bytes);
      at += bytes.length;
    }
  }
  return Buffer.concat([directory, ...behind]);
}
