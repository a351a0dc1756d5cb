import { UserError } from "../core/errors.ts";
import { type Rgb8, rgb8 } from "./rgb8.ts";

/** What a BMP's headers say. */
export interface BmpHeader {
  readonly width: number; // pixels
  readonly height: number;
  /** Whether the first row of the file is the topmost. */
  readonly topDown: boolean;
  readonly bits: number; // of a pixel
  readonly packing: "none" | "rle";
  /** Which bits are red, green and blue, where pixels are no indices. */
  readonly masks: readonly [number, number, number];
  /** Colours [count, 3], where pixels are indices. */
  readonly palette: Uint8Array;
  /** Place of the pixels in the file. */
  readonly start: number;
}

/** Size of the file's header, before that of the picture. */
const FILE_HEADER = 14;
/** Sizes of the picture's header: OS/2's two, and Windows' with its additions. */
const OS2 = 12;
const HEADERS = [OS2, 16, 40, 52, 56, 64, 108, 124];
const RGB = 0;
const RLE8 = 1;
const RLE4 = 2;
const BITFIELDS = 3;
const ALPHA_BITFIELDS = 6;
const OTHERS: Readonly<Record<number, string>> = { 4: "JPEG", 5: "PNG", 11: "CMYK", 12: "CMYK", 13: "CMYK" };

/**
 * Reads a BMP's headers and palette: OS/2's and Windows' of every version.
 * @see Microsoft, "Bitmap Header Types" and "Bitmap Compression"
 * @throws UserError photo/unreadable for a kind that is not known, photo/truncated
 */
export function bmpHeader(file: Uint8Array, name: string): BmpHeader {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const size = file.length < FILE_HEADER + 4 ? 0 : view.getUint32(FILE_HEADER, true);
  if (file.length < FILE_HEADER + Math.max(4, size)) throw damaged(name, "its header is cut off");
  if (!HEADERS.includes(size)) throw damaged(name, `its header has ${size} bytes, as none has`);
  const old = size === OS2;
  const at = FILE_HEADER;
  const [width, tall] = old
    ? [view.getUint16(at + 4, true), view.getUint16(at + 6, true)]
    : [view.getInt32(at + 4, true), view.getInt32(at + 8, true)];
  const bits = view.getUint16(at + (old ? 10 : 14), true);
  const compression = size >= 40 ? view.getUint32(at + 16, true) : RGB;
  if (width <= 0 || tall === 0 || tall === -(2 ** 31)) throw damaged(name, `it says that it has ${width}x${tall} pixels`);
  const packed = (compression === RLE8 && bits === 8) || (compression === RLE4 && bits === 4);
  const masked = (compression === BITFIELDS || compression === ALPHA_BITFIELDS) && (bits === 16 || bits === 32);
  if (![1, 4, 8, 16, 24, 32].includes(bits) || !(compression === RGB || packed || masked))
    throw new UserError(
      "photo/unreadable",
      `${name} is a BMP of a kind that is not read: ${bits} bits, ${OTHERS[compression] ?? `compression ${compression}`}.`,
      "Save it as PNG.",
    );
  if (packed && tall < 0) throw damaged(name, "its runs begin at the top");

  const behind = masked && size === 40 ? (compression === BITFIELDS ? 12 : 16) : 0;
  const afterMasks = at + size + behind;
  if (afterMasks > file.length) throw damaged(name, "its header is cut off");
  const masks = masked
    ? ([0, 4, 8].map((offset) => view.getUint32(at + 40 + offset, true)) as [number, number, number])
    : bits === 16
      ? ([0x7c00, 0x3e0, 0x1f] as const)
      : ([0xff0000, 0xff00, 0xff] as const);
  if (masked && masks.some((mask) => !isOneRun(mask))) throw damaged(name, "its colours' bits are scattered");

  const said = view.getUint32(10, true);
  const start = said === 0 ? afterMasks : said; // some programs leave it out where there is no palette
  if (start < afterMasks || start >= file.length) throw damaged(name, "its pixels lie outside the file");
  const palette =
    bits > 8
      ? new Uint8Array()
      : paletteOf(file, afterMasks, start, {
          entry: old ? 3 : 4,
          count: Math.min(2 ** bits, (size >= 40 && view.getUint32(at + 32, true)) || 2 ** bits),
        });
  if (bits <= 8 && palette.length === 0) throw damaged(name, "it has no palette");
  return { width, height: Math.abs(tall), topDown: tall < 0, bits, packing: packed ? "rle" : "none", masks, palette, start };
}

/** Whether the bits of a mask are neighbours, and at least one is there. */
function isOneRun(mask: number): boolean {
  const low = BigInt(mask) & -BigInt(mask);
  const run = low === 0n ? 0n : BigInt(mask) / low;
  return run > 0n && (run & (run + 1n)) === 0n;
}

/** Colours as red, green and blue; stored as blue, green and red. */
function paletteOf(file: Uint8Array, from: number, to: number, { entry, count }: { entry: number; count: number }): Uint8Array {
  const there = Math.min(count, Math.floor((to - from) / entry));
  const out = new Uint8Array(there * 3);
  for (let i = 0; i < there; i++) for (let c = 0; c < 3; c++) out[i * 3 + c] = file[from + i * entry + 2 - c]!;
  return out;
}

/**
 * Decodes a BMP; alpha is dropped, as for all photos.
 * @throws UserError photo/truncated
 */
export function decodeBmp(file: Uint8Array, header: BmpHeader, name: string): Rgb8 {
  const { width, height, topDown, bits, packing, palette, start } = header;
  const out = new Uint8Array(width * height * 3);
  const place = (x: number, row: number): number => ((topDown ? row : height - 1 - row) * width + x) * 3;
  const paint = (x: number, row: number, index: number): void => {
    const at = place(x, row);
    for (let c = 0; c < 3; c++) out[at + c] = palette[index * 3 + c] ?? 0;
  };
  if (packing === "rle") {
    paintRuns(file.subarray(start), header, paint, name);
    return rgb8(width, height, out);
  }
  const stride = Math.ceil((bits * width) / 32) * 4;
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const colour = bits > 8 ? colourOf(header, view) : undefined;
  for (let row = 0; row < height; row++)
    for (let x = 0; x < width; x++) {
      const from = start + row * stride;
      if (colour !== undefined) colour(from + (x * bits) / 8, out, place(x, row));
      else {
        const byte = file[from + Math.floor((x * bits) / 8)]!;
        paint(x, row, (byte >> (8 - bits - ((x * bits) % 8))) & (2 ** bits - 1));
      }
    }
  return rgb8(width, height, out);
}

/** @throws UserError photo/truncated if the file ends before its last pixel */
export function checkBmpLength(file: Uint8Array, { width, height, bits, packing, start }: BmpHeader, name: string): void {
  const last = height * Math.ceil((bits * width) / 32) * 4 - (Math.ceil((bits * width) / 32) * 4 - Math.ceil((bits * width) / 8));
  if (packing === "none" && start + last > file.length)
    throw damaged(name, `${start + last - file.length} bytes of its pixels are missing`);
}

/** Writes the colour that is stored at `from` as three bytes at `to`: each in 8 bits, whatever its own number is. */
function colourOf({ bits, masks }: BmpHeader, view: DataView): (from: number, out: Uint8Array, to: number) => void {
  if (bits === 24)
    return (from, out, to) => {
      for (let c = 0; c < 3; c++) out[to + c] = view.getUint8(from + 2 - c);
    };
  const parts = masks.map((mask) => {
    const shift = Math.log2(Number(BigInt(mask) & -BigInt(mask)));
    const most = mask / 2 ** shift;
    return { shift, most };
  });
  return (from, out, to) => {
    const value = bits === 16 ? view.getUint16(from, true) : view.getUint32(from, true);
    for (const [c, { shift, most }] of parts.entries()) {
      const own = Math.floor(value / 2 ** shift) % (most + 1);
      out[to + c] = most === 255 ? own : Math.floor((own * 255) / most);
    }
  };
}

/** Pixels of RLE8 or RLE4. What no run reaches has the palette's first colour. @throws UserError photo/truncated */
function paintRuns(
  runs: Uint8Array,
  { width, height, bits }: BmpHeader,
  paint: (x: number, row: number, index: number) => void,
  name: string,
): void {
  for (let row = 0; row < height; row++) for (let x = 0; x < width; x++) paint(x, row, 0);
  let [at, x, row] = [0, 0, 0];
  const next = (): number => {
    const byte = runs[at++];
    if (byte === undefined) throw damaged(name, `its pixels end in row ${row + 1} of ${height}`);
    return byte;
  };
  const put = (index: number): void => {
    if (x < width && row < height) paint(x, row, index);
    x++;
  };
  const nibble = (byte: number, i: number): number => (bits === 8 ? byte : i % 2 === 0 ? byte >> 4 : byte & 15);
  while (row < height) {
    const count = next();
    const value = next();
    if (count > 0) {
      for (let i = 0; i < count; i++) put(nibble(value, i));
    } else if (value === 0) {
      x = 0;
      row++;
    } else if (value === 1) return;
    else if (value === 2) {
      x += next();
      row += next();
    } else {
      const bytes = Array.from({ length: Math.ceil((value * bits) / 8) }, next);
      for (let i = 0; i < value; i++) put(nibble(bytes[Math.floor((i * bits) / 8)]!, i));
      if (bytes.length % 2 === 1) at++; // each begins at a whole word
    }
  }
}

const damaged = (name: string, why: string): UserError =>
  new UserError(
    "photo/truncated",
    `${name} is incomplete or damaged (BMP: ${why}).`,
    "Copy or download it again, or open it in another program and save it as JPEG or PNG.",
  );
