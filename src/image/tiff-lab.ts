const PHOTOMETRIC = 262;
const RGB = 2;
/** TIFF 6.0, section 23: a and b with a sign. ICC's form has them shifted by 128. */
const CIELAB = 8;
const ICCLAB = 9;

/** A TIFF in L*a*b*, with its three channels called RGB so that they are decoded as they are. */
export interface LabTiff {
  readonly bytes: Uint8Array;
  /** Whether a and b are two's complements. */
  readonly signed: boolean;
}

/** A TIFF file in L*a*b* made ready for {@link labToRgb}, which no library here decodes; undefined for others. */
export function labTiff(file: Uint8Array): LabTiff | undefined {
  const little = file[0] === 0x49;
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 8 || view.getUint16(2, little) !== 42) return undefined;
  const directory = view.getUint32(4, little);
  if (directory + 2 > file.length) return undefined;
  const fields = view.getUint16(directory, little);
  for (let at = directory + 2; at < directory + 2 + fields * 12 && at + 12 <= file.length; at += 12) {
    if (view.getUint16(at, little) !== PHOTOMETRIC) continue;
    const kind = view.getUint16(at + 8, little);
    if (kind !== CIELAB && kind !== ICCLAB) return undefined;
    const bytes = Uint8Array.from(file);
    new DataView(bytes.buffer).setUint16(at + 8, RGB, little);
    return { bytes, signed: kind === CIELAB };
  }
  return undefined;
}

const WHITE_D50 = [0.96422, 1, 0.82521] as const;
/** XYZ under D50, as photo programs write L*a*b*, to linear sRGB (Lindbloom, with Bradford's adaptation to D65). */
const TO_SRGB = [
  [3.1338561, -1.6168667, -0.4906146],
  [-0.9787684, 1.9161415, 0.033454],
  [0.0719453, -0.2289914, 1.4052427],
] as const;

/** L*a*b* in 8 bits, [pixels, 3], to sRGB. */
export function labToRgb(lab: Uint8Array, signed: boolean): Uint8Array {
  const out = new Uint8Array(lab.length);
  const offset = (byte: number): number => (signed ? (byte << 24) >> 24 : byte - 128);
  for (let i = 0; i < lab.length; i += 3) {
    const y = ((lab[i]! / 255) * 100 + 16) / 116;
    const xyz = [y + offset(lab[i + 1]!) / 500, y, y - offset(lab[i + 2]!) / 200].map((f, n) => WHITE_D50[n]! * uncurved(f));
    for (const [n, row] of TO_SRGB.entries())
      out[i + n] = Math.round(255 * gamma(row[0] * xyz[0]! + row[1] * xyz[1]! + row[2] * xyz[2]!));
  }
  return out;
}

/** CIE 1976: the inverse of L*a*b*'s cube root with its straight end. */
const uncurved = (f: number): number => (f > 6 / 29 ? f ** 3 : 3 * (6 / 29) ** 2 * (f - 4 / 29));

/** IEC 61966-2-1. */
function gamma(linear: number): number {
  const v = Math.min(1, Math.max(0, linear));
  return v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055;
}
