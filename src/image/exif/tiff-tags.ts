/** Tags of EXIF in which programs write how a picture was made. @see CIPA DC-008 (EXIF 3.0), tables 4 to 8 */
export const TAG = {
  make: 0x010f,
  model: 0x0110,
  software: 0x0131,
  exifFolder: 0x8769,
  exifVersion: 0x9000,
  makerNote: 0x927c,
  userComment: 0x9286,
} as const;

/** A tag of EXIF with its bytes. */
export interface ExifTag {
  readonly tag: number;
  /** Its type, of which two are of use here. */
  readonly type: number;
  readonly data: Uint8Array;
}

/** Types of values: text that ends in NUL, and bytes. */
export const ASCII = 2;
export const UNDEFINED = 7;
const LONG = 4;

/** Bytes of one value of each type, by its number. */
const SIZES = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8];

/** Most tags that are read of one folder; cameras write some dozens. */
const MOST_TAGS = 1000;

/**
 * The tags of a picture's EXIF: those of its first folder of tags, and of the EXIF folder that this names. A tag that reaches beyond the end is
 * left out, as many cameras' programs write such.
 * @param exif with "Exif\0\0" before it or without
 * @see TIFF 6.0, section 2
 */
export function readTags(exif: Uint8Array): { readonly littleEndian: boolean; readonly tags: readonly ExifTag[] } {
  const tiff = String.fromCharCode(...exif.subarray(0, 6)) === "Exif\0\0" ? exif.subarray(6) : exif;
  const littleEndian = tiff[0] === 0x49;
  if (tiff.length < 8 || tiff[0] !== tiff[1] || !(littleEndian || tiff[0] === 0x4d)) return { littleEndian, tags: [] };
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  const folderAt = (at: number): ExifTag[] => {
    if (at < 8 || at + 2 > tiff.length) return [];
    const tags: ExifTag[] = [];
    const count = Math.min(view.getUint16(at, littleEndian), MOST_TAGS);
    for (let entry = at + 2; entry + 12 <= tiff.length && entry < at + 2 + 12 * count; entry += 12) {
      const type = view.getUint16(entry + 2, littleEndian);
      const length = view.getUint32(entry + 4, littleEndian) * (SIZES[type] ?? 0);
      const from = length > 4 ? view.getUint32(entry + 8, littleEndian) : entry + 8;
      if (length === 0 || from + length > tiff.length) continue;
      tags.push({ tag: view.getUint16(entry, littleEndian), type, data: tiff.subarray(from, from + length) });
    }
    return tags;
  };
  const tags = folderAt(view.getUint32(4, littleEndian));
  const { data } = tags.find(({ tag, type }) => tag === TAG.exifFolder && type === LONG) ?? {};
  const inner = data && new DataView(data.buffer, data.byteOffset).getUint32(0, littleEndian);
  return { littleEndian, tags: inner === undefined ? tags : [...tags, ...folderAt(inner)] };
}

/** EXIF, big-endian and without "Exif\0\0" before it, with tags in its first folder, and others in the EXIF folder. */
export function writeTags(first: readonly ExifTag[], exif: readonly ExifTag[]): Uint8Array {
  const sizeOf = (tags: readonly ExifTag[]): number =>
    2 + 12 * tags.length + 4 + tags.reduce((sum, { data }) => sum + (data.length > 4 ? even(data.length) : 0), 0);
  const place = new Uint8Array(4);
  const top = [...first, { tag: TAG.exifFolder, type: LONG, data: place }];
  const inner = 8 + sizeOf(top);
  new DataView(place.buffer).setUint32(0, inner);
  const tiff = new Uint8Array(inner + sizeOf(exif));
  const view = new DataView(tiff.buffer);
  tiff.set([0x4d, 0x4d, 0, 0x2a, 0, 0, 0, 8]);
  const put = (tags: readonly ExifTag[], at: number): void => {
    view.setUint16(at, tags.length);
    let free = at + 2 + 12 * tags.length + 4;
    for (const [i, { tag, type, data }] of tags.toSorted((a, b) => a.tag - b.tag).entries()) {
      const entry = at + 2 + 12 * i;
      view.setUint16(entry, tag);
      view.setUint16(entry + 2, type);
      view.setUint32(entry + 4, data.length / SIZES[type]!);
      if (data.length <= 4) tiff.set(data, entry + 8);
      else {
        view.setUint32(entry + 8, free);
        tiff.set(data, free);
        free += even(data.length);
      }
    }
  };
  put(top, 8);
  put(exif, inner);
  return tiff;
}

/** Values begin at even places. */
const even = (length: number): number => length + (length % 2);
