import { readdir, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { UserError } from "../../core/errors.ts";
import { type ByteSource, memorySource } from "../../weights/byte-source.ts";
import { asReadError, FileSource, withFile } from "../../weights/file-access.node.ts";
import { readZipDirectory, readZipEntry, type ZipEntry } from "../../weights/zip.ts";
import { readOnnxHeader } from "./onnx-header.ts";
import { type PackDetector, type PackNetwork, type PackRecogniser, packNetworkOf } from "./pack-networks.ts";

/** A network of a pack, and what the runtime is given of it: the path of its file or, out of a zip, its bytes. */
export interface FoundNetwork<N extends PackNetwork> {
  readonly network: N;
  /** Names it in messages. */
  readonly file: string;
  model(): Promise<Uint8Array | string>;
}

export interface PackFiles {
  readonly detector: FoundNetwork<PackDetector>;
  readonly recogniser: FoundNetwork<PackRecogniser>;
}

/** A file of a pack. */
interface PackFile {
  readonly file: string;
  readonly size: number;
  open(): Promise<ByteSource>;
  model(): Promise<Uint8Array | string>;
}

const PUBLISHED =
  "Give the folder or the zip of one of InsightFace's packs, such as antelopev2 or buffalo_l, as it was published.";
const MOST_DEPTH = 3; // of folders: an unpacked antelopev2.zip is a folder in a folder
const MOST_FILES = 10_000;
const MOST_UNPACKED = 2 ** 30; // bytes

/**
 * Finds detector and recogniser of a pack by what they take and give; the first of each, by name, is taken, and other networks are left alone.
 *
 * @param path a folder, or a zip; the files may lie in a folder within
 * @throws UserError file/missing, file/denied, face-pack/not-a-pack, face-pack/no-detector, face-pack/no-recogniser, face-pack/shapes, zip/truncated,
 *   zip/corrupt and other faults of a zip, and those of {@link readOnnxHeader} for a file that is in the place of one of the two
 */
export async function findNetworks(path: string): Promise<PackFiles> {
  const absolute = resolve(path);
  const found = await stat(absolute).catch((error: unknown) => {
    throw asReadError(error, absolute);
  });
  const files = found.isDirectory() ? await filesIn(absolute) : await filesOfZip(absolute);
  if (files.length === 0) throw new UserError("face-pack/not-a-pack", `${absolute} has no .onnx files in it.`, PUBLISHED);
  return chosenOf(absolute, files);
}

/** Names by which the two are looked at first, so that a pack's largest networks are not read in vain. */
const LIKELY: readonly (readonly [PackNetwork["kind"], RegExp])[] = [
  ["detector", /^(scrfd|det_)/i],
  ["recogniser", /^(glint|w600k|arcface|r\d+|webface)/i],
];

async function chosenOf(path: string, files: readonly PackFile[]): Promise<PackFiles> {
  const likely = ({ file }: PackFile): boolean => LIKELY.some(([, name]) => name.test(basename(file)));
  const order = [...files].sort((a, b) => Number(likely(b)) - Number(likely(a)) || (a.file < b.file ? -1 : 1));
  let detector: PackFiles["detector"] | undefined;
  let recogniser: PackFiles["recogniser"] | undefined;
  const faults: { file: string; error: UserError }[] = [];
  const others: { file: string; why: string }[] = [];
  for (const { file, open, model } of order) {
    if (detector !== undefined && recogniser !== undefined) break;
    try {
      const network = packNetworkOf(await readOnnxHeader(await open()));
      if (network.kind === "detector") detector ??= { network, file, model };
      else if (network.kind === "recogniser") recogniser ??= { network, file, model };
      else others.push({ file, why: network.why });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      faults.push({ file, error });
    }
  }
  if (detector !== undefined && recogniser !== undefined) return { detector, recogniser };
  const missing = detector === undefined ? "detector" : "recogniser";
  const [, name] = LIKELY.find(([kind]) => kind === missing)!;
  const fault = faults.find(({ file }) => name.test(basename(file))) ?? (others.length === 0 ? faults[0] : undefined);
  if (fault !== undefined) throw fault.error;
  const meant = others.find(({ file }) => name.test(basename(file)));
  if (meant !== undefined)
    throw new UserError("face-pack/shapes", `${meant.file} is not the ${missing} that is expected: ${meant.why}.`, PUBLISHED);
  const list = [
    ...[detector, recogniser].flatMap((each) => (each === undefined ? [] : [`${basename(each.file)}: the ${each.network.kind}`])),
    ...others.map(({ file, why }) => `${basename(file)}: ${why}`),
    ...faults.map(({ file }) => `${basename(file)}: unreadable`),
  ];
  const has = `It has ${list.join("; ")}.`;
  if (missing === "detector")
    throw new UserError("face-pack/no-detector", `${path} has no detector of faces with five points (SCRFD). ${has}`, PUBLISHED);
  throw new UserError("face-pack/no-recogniser", `${path} has no recogniser of aligned faces (ArcFace). ${has}`, PUBLISHED);
}

async function filesIn(folder: string): Promise<PackFile[]> {
  const files: PackFile[] = [];
  const zips: string[] = [];
  let seen = 0;
  async function search(at: string, depth: number): Promise<void> {
    const entries = await readdir(at, { withFileTypes: true }).catch((error: unknown) => {
      throw asReadError(error, at);
    });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (++seen > MOST_FILES)
        throw new UserError("face-pack/not-a-pack", `${folder} has more than ${MOST_FILES} files in it.`, PUBLISHED);
      const path = join(at, entry.name);
      if (entry.isDirectory() && depth < MOST_DEPTH) await search(path, depth + 1);
      else if (isNetwork(entry.name) && !entry.isDirectory()) {
        const found = await stat(path).catch(() => undefined); // a link may lead nowhere
        if (found?.isFile() !== true) continue;
        const { size } = found;
        files.push({ file: path, size, open: async () => new FileSource(path, size), model: async () => path });
      } else if (/\.zip$/i.test(entry.name)) zips.push(path);
    }
  }
  await search(folder, 1);
  if (files.length === 0 && zips.length > 0)
    throw new UserError("face-pack/not-a-pack", `${folder} has no .onnx files in it.`, `Give the zip itself: ${zips[0]}.`);
  return files;
}

/** Finder's notes beside files have their names, after "._". */
const isNetwork = (path: string): boolean => /\.onnx$/i.test(path) && !/(^|\/)(\._|__MACOSX\/)/.test(path);

async function filesOfZip(path: string): Promise<PackFile[]> {
  return withFile(path, async (file) => {
    const start = await file.read(0, Math.min(4, file.size));
    if (!isZip(start))
      throw new UserError(
        "face-pack/not-a-pack",
        `${path} is neither a folder nor a zip.`,
        /\.onnx$/i.test(path) ? `Give the folder that holds both networks: ${resolve(path, "..")}.` : PUBLISHED,
      );
    const entries = await readZipDirectory(file);
    return [...entries.values()].filter(({ name }) => isNetwork(name)).map((entry) => memberOf(file, entry));
  });
}

const isZip = (start: Uint8Array): boolean =>
  start[0] === 0x50 && start[1] === 0x4b && ((start[2] === 3 && start[3] === 4) || (start[2] === 5 && start[3] === 6));

function memberOf(zip: FileSource, entry: ZipEntry): PackFile {
  const file = `${zip.path}/${entry.name}`;
  const bytes = async (): Promise<Uint8Array> => {
    if (entry.size > MOST_UNPACKED)
      throw new UserError(
        "face-pack/too-large",
        `${file} unpacks to ${entry.size} bytes; a network that looks at faces has at most ${MOST_UNPACKED}.`,
        PUBLISHED,
      );
    return readZipEntry(zip, entry);
  };
  // unpacking takes seconds, so that what was unpacked to be checked is kept until it is loaded
  let kept: Promise<Uint8Array> | undefined;
  return {
    file,
    size: entry.size,
    open: async () => {
      kept = bytes();
      return memorySource(file, await kept);
    },
    model: () => {
      const unpacked = kept ?? bytes();
      kept = undefined;
      return unpacked;
    },
  };
}
