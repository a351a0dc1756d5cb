import { join, resolve } from "node:path";
import { writeFileAtomically } from "../../core/atomic-file.node.ts";
import { messageOf, systemCode, UserError } from "../../core/errors.ts";
import type { FaceNetworks } from "../../faces/face.ts";
import { areaOf, sideOf } from "../../faces/geometry.ts";
import { decodePhoto } from "../../image/decode-photo.ts";
import type { Rgb8 } from "../../image/rgb8.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { fingerprint } from "../../weights/fingerprint.node.ts";
import { clipI } from "../measures/clip-i.ts";
import { clipMmd } from "../measures/clip-mmd.ts";
import { clipT } from "../measures/clip-t.ts";
import { dino } from "../measures/dino.ts";
import { diversityPairs, pairsOf } from "../measures/face-diversity.ts";
import { faceSim } from "../measures/face-sim.ts";
import { faceSquare } from "../measures/face-square.ts";
import { featureMatrix, frechetOfSamples } from "../measures/frechet-distance.ts";
import { centreDirection, rank1 } from "../measures/identity.ts";
import { kernelDistanceOfSubsets } from "../measures/kernel-distance.ts";
import { qualityFloor } from "../measures/quality-floor.ts";
import type { ImageNetwork } from "../networks/image-network.ts";
import { openNetworkWeights } from "../networks/network-weights.node.ts";
import { openClip } from "../networks/open-clip.node.ts";
import { openDino } from "../networks/open-dino.node.ts";
import { openInception } from "../networks/open-inception.node.ts";
import { openLpips } from "../networks/open-lpips.node.ts";
import { type FoundFeatures, keptFeatures } from "./kept-features.node.ts";
import {
  findPictures,
  findRealPictures,
  hashOf,
  type KnownFile,
  type LeftOut,
  type ListedPicture,
  type RealPictures,
  readPictureList,
} from "./picture-list.node.ts";
import { figuresOf, type MeasuredValue, type MeasureName, SCORES_FILE, type Scores, type SetFigures } from "./scores.ts";

/** Paths of the networks; a measure whose network is absent is left out. */
export interface ScoringNetworks {
  readonly clip?: string | undefined;
  readonly dino?: string | undefined;
  readonly inception?: string | undefined;
  readonly lpips?: { readonly trunk: string; readonly lin: string } | undefined;
  /** Finds and compares faces; its name stands for its weights. */
  readonly faces?: { readonly networks: Pick<FaceNetworks, "detect" | "embed">; readonly name: string } | undefined;
}

export interface ScoreRunOptions extends ScoringNetworks {
  /** Folder with `pictures.jsonl`. */
  readonly run: string;
  /** Folder with a folder of real pictures for each person. */
  readonly people?: string | undefined;
  /** Folder of real pictures of anybody, for distances of sets. */
  readonly reference?: string | undefined;
  readonly trigger?: string;
  readonly promptsAreRandom?: boolean;
  readonly runtime: Runtime;
  readonly signal?: AbortSignal;
  readonly onProgress?: (label: string, done: number, total: number) => void;
}

type Picture = ListedPicture & KnownFile;
type Values = Partial<Record<MeasureName, number | null>>;

/**
 * Measures a run's pictures with the networks that there are, and writes `scores.json` into its folder. Features are kept beside it by the content of picture and
 * network: a stopped run goes on, and new pictures alone are computed.
 * @throws UserError evaluate/*, network/*, and those of reading weights and writing files
 */
export async function scoreRun(options: ScoreRunOptions): Promise<Scores> {
  const { run, people, reference, trigger, promptsAreRandom = false } = options;
  const leftOut: LeftOut[] = [];
  const listed = await openListed(run, await readPictureList(run, trigger), leftOut);
  const real = people === undefined ? new Map<string, RealPictures>() : await findRealPictures(people);
  const others =
    people === undefined ? [] : [...new Set(listed.map(({ person }) => person))].flatMap((name) => othersOf(name, real, leftOut));
  const ofReference = reference === undefined ? [] : await findPictures(reference);
  const seen = new Scoring(options, leftOut);

  const clip = await seen.look("CLIP", options.clip, openClip, [...listed, ...others, ...ofReference]);
  const texts =
    options.clip === undefined
      ? new Map<string, Float32Array>()
      : await textFeatures(options.clip, listed, options.runtime, leftOut);
  const ofDino = await seen.look("DINO", options.dino, openDino, [...listed, ...others]);
  const ofInception =
    ofReference.length === 0
      ? undefined
      : await seen.look("Inception", options.inception, openInception, [...listed, ...ofReference]);
  const faces = await seen.faces([...listed, ...others]);
  const pictures = listed.filter(({ hash, file }) => {
    const why = seen.broken.get(hash);
    if (why !== undefined) leftOut.push({ what: file, why });
    return why === undefined;
  });
  if (pictures.length === 0)
    throw new UserError(
      "evaluate/no-pictures",
      `None of the pictures that ${run} lists can be read.`,
      "Check the files that pictures.jsonl names.",
    );

  const realOf = (person: string): readonly KnownFile[] =>
    (real.get(person)?.others ?? []).filter(({ hash }) => !seen.broken.has(hash));
  const featuresOf = (person: string, from: ReadonlyMap<string, Float32Array>): Float32Array[] =>
    realOf(person).flatMap(({ hash }) => from.get(hash) ?? []);
  const known = [...new Set(pictures.map(({ person }) => person))].sort();
  const faceVectors = new Map(
    known.map((name) => [name, featuresOf(name, faces ?? new Map()).flatMap((row) => vectorOf(row) ?? [])]),
  );
  for (const [name, vectors] of faceVectors)
    if (faces !== undefined && vectors.length === 0 && realOf(name).length > 0)
      leftOut.push({ what: name, why: "no face was found in the real pictures" });
  const withCentre = known.filter((name) => faceVectors.get(name)!.length > 0);
  const centres = withCentre.map((name) => centreDirection(faceVectors.get(name)!));

  const measured = pictures.map(({ file, person, prompt, seed, hash }) => {
    const values: Values = {};
    const image = clip?.get(hash);
    if (image !== undefined) values.clipT = clipT(image, texts.get(prompt)!);
    const [likeClip, likeDino] = [featuresOf(person, clip ?? new Map()), featuresOf(person, ofDino ?? new Map())];
    if (image !== undefined && likeClip.length > 0) values.clipI = clipI(image, likeClip);
    if (ofDino !== undefined && likeDino.length > 0) values.dino = dino(ofDino.get(hash)!, likeDino);
    const likeFaces = faceVectors.get(person)!;
    if (faces !== undefined && likeFaces.length > 0) {
      const face = vectorOf(faces.get(hash)!);
      values.faceSim = faceSim(face, likeFaces);
      values.faceSimAll = values.faceSim;
      if (withCentre.length > 1) values.rank1 = rank1(face, withCentre.indexOf(person), centres);
    }
    return { file, person, prompt, seed, hash, values };
  });

  const pairs: Scores["pairs"] = faces === undefined ? {} : await seen.diversity(pictures, faces);
  const sets =
    ofReference.length === 0
      ? undefined
      : setFigures(pictures, ofReference, { clip, inception: ofInception, broken: seen.broken });
  const sides = faces && pictures.map(({ hash }) => sidesOf(faces.get(hash)!));
  if (sets !== undefined) leftOut.push(...ofFewPictures(sets));
  seen.nameMissing(people, reference);
  const scores: Scores = {
    version: 1,
    pictures: measured,
    pairs,
    figures: figuresOf({ pictures: measured, pairs }, { promptsAreRandom }),
    ...(sets && { sets }),
    ...(sides && { quality: qualityFloor(sides) }),
    leftOut,
    networks: seen.networks,
  };
  const text = `${JSON.stringify(scores, null, 1)}\n`;
  await writeFileAtomically(join(run, SCORES_FILE), (sink) => sink.write(new TextEncoder().encode(text)));
  return scores;
}

/** The listed pictures that there are. */
async function openListed(run: string, listed: readonly ListedPicture[], leftOut: LeftOut[]): Promise<Picture[]> {
  const pictures: Picture[] = [];
  for (const picture of listed) {
    const path = resolve(run, picture.file);
    try {
      pictures.push({ ...picture, path, hash: await hashOf(path) });
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
      leftOut.push({ what: picture.file, why: systemCode(error) === "ENOENT" ? "there is no such file" : messageOf(error) });
    }
  }
  return pictures;
}

function othersOf(person: string, real: ReadonlyMap<string, RealPictures>, leftOut: LeftOut[]): readonly KnownFile[] {
  const own = real.get(person)?.others ?? [];
  if (own.length === 0)
    leftOut.push({ what: person, why: "there is no real picture of this person that was not given to the model" });
  return own;
}

async function textFeatures(
  path: string,
  pictures: readonly ListedPicture[],
  runtime: Runtime,
  leftOut: LeftOut[],
): Promise<Map<string, Float32Array>> {
  const clip = await openClip(path, runtime);
  const prompts = [...new Set(pictures.map(({ prompt }) => prompt))];
  const { features, notices } = await clip.texts(prompts);
  await clip.close();
  for (const { message } of notices) leftOut.push({ what: "words of a prompt", why: message });
  return new Map(prompts.map((prompt, i) => [prompt, features[i]!]));
}

/** A row of what is kept of a picture's faces: their number, the largest one's box, its vector filled up with zeros. */
const [BOX, VECTOR, ROW] = [1, 5, 5 + 512];
const countIn = (row: Float32Array): number => row[0]!;
const boxIn = (row: Float32Array) => ({ left: row[BOX]!, top: row[BOX + 1]!, right: row[BOX + 2]!, bottom: row[BOX + 3]! });
const vectorOf = (row: Float32Array): Float32Array | null => (countIn(row) === 0 ? null : row.subarray(VECTOR));
const sidesOf = (row: Float32Array): number[] =>
  countIn(row) === 0 ? [] : [sideOf(boxIn(row)), ...Array<number>(countIn(row) - 1).fill(0)];

async function faceRow(picture: Rgb8, networks: Pick<FaceNetworks, "detect" | "embed">): Promise<Float32Array> {
  const row = new Float32Array(ROW);
  const found = await networks.detect(picture);
  if (found.length === 0) return row;
  const largest = found.reduce((a, b) => (areaOf(b.box) > areaOf(a.box) ? b : a));
  const { left, top, right, bottom } = largest.box;
  row.set([found.length, left, top, right, bottom]);
  row.set(await networks.embed(picture, largest.points), VECTOR);
  return row;
}

function setFigures(
  pictures: readonly KnownFile[],
  reference: readonly KnownFile[],
  {
    clip,
    inception,
    broken,
  }: {
    readonly clip: ReadonlyMap<string, Float32Array> | undefined;
    readonly inception: ReadonlyMap<string, Float32Array> | undefined;
    readonly broken: ReadonlyMap<string, string>;
  },
): SetFigures {
  const good = reference.filter(({ hash }) => !broken.has(hash));
  const both = (from: ReadonlyMap<string, Float32Array>) =>
    [pictures, good].map((set) => featureMatrix(set.map(({ hash }) => from.get(hash)!)));
  const counts = { pictures: pictures.length, reference: good.length };
  if (pictures.length < FEWEST || good.length < FEWEST) return counts;
  const [x, y] = inception === undefined ? [] : both(inception);
  const [p, q] = clip === undefined ? [] : both(clip);
  return {
    ...counts,
    ...(x && y && { fid: frechetOfSamples(x, y) }),
    ...(x && y && Math.min(x.rows, y.rows) >= FEWEST_FOR_SUBSETS && { kid: kernelDistanceOfSubsets(x, y) }),
    ...(p && q && { cmmd: clipMmd(p, q) }),
  };
}

/** Fewest pictures in each set for distances of sets: 2 have a covariance, 4 have subsets of 2. */
const [FEWEST, FEWEST_FOR_SUBSETS] = [2, 4];

/** Names the distances of sets for which there are too few pictures. */
function ofFewPictures({ pictures, reference }: SetFigures): LeftOut[] {
  const fewest = Math.min(pictures, reference);
  const why = `there are ${pictures} pictures and ${reference} of reference, too few`;
  if (fewest < FEWEST) return [{ what: "FID, KID, CMMD", why }];
  return fewest < FEWEST_FOR_SUBSETS ? [{ what: "KID", why }] : [];
}

/** One scoring: what its networks have seen. */
class Scoring {
  readonly networks: Record<string, string> = {};
  /** Files that are no pictures, by hash. */
  readonly broken = new Map<string, string>();
  readonly #options: ScoreRunOptions;
  readonly #leftOut: LeftOut[];

  constructor(options: ScoreRunOptions, leftOut: LeftOut[]) {
    this.#options = options;
    this.#leftOut = leftOut;
  }

  /** Features of files by one network, which is closed afterwards; undefined without a path. */
  async look(
    name: string,
    path: string | undefined,
    open: (path: string, runtime: Runtime) => Promise<ImageNetwork>,
    files: readonly KnownFile[],
  ): Promise<ReadonlyMap<string, Float32Array> | undefined> {
    if (path === undefined) return undefined;
    const key = await this.#know(name, path);
    const network = await open(path, this.#options.runtime);
    try {
      return this.#took(await keptFeatures(files, (pictures) => network.features(pictures), this.#keeping(name, key)));
    } finally {
      await network.close();
    }
  }

  async faces(files: readonly KnownFile[]): Promise<ReadonlyMap<string, Float32Array> | undefined> {
    const { faces } = this.#options;
    if (faces === undefined) return undefined;
    this.networks.faces = faces.name;
    const rows = (pictures: readonly Rgb8[]): Promise<Float32Array[]> =>
      pictures.reduce<Promise<Float32Array[]>>(
        async (done, picture) => [...(await done), await faceRow(picture, faces.networks)],
        Promise.resolve([]),
      );
    return this.#took(await keptFeatures(files, rows, this.#keeping("faces", faces.name)));
  }

  /** LPIPS of faces of the same person and prompt. */
  async diversity(pictures: readonly Picture[], faces: ReadonlyMap<string, Float32Array>): Promise<Scores["pairs"]> {
    const { lpips, runtime, signal, onProgress = () => {} } = this.#options;
    if (lpips === undefined) return {};
    await this.#know("LPIPS", lpips.trunk);
    const numbers = (list: readonly string[]) => new Map(list.map((key, i) => [key, i]));
    const [people, prompts] = [numbers(pictures.map(({ person }) => person)), numbers(pictures.map(({ prompt }) => prompt))];
    const keys = pictures.map(({ person, prompt, hash }) =>
      countIn(faces.get(hash)!) === 0 ? null : { person: people.get(person)!, prompt: prompts.get(prompt)! },
    );
    const groups = new Map<string, Set<number>>();
    for (const pair of diversityPairs(keys)) {
      const { person, prompt } = pictures[pair[0]]!;
      const key = JSON.stringify([person, prompt]);
      groups.set(key, new Set([...(groups.get(key) ?? []), ...pair]));
    }
    if (groups.size === 0) this.#leftOut.push({ what: "Face Div", why: "no person has two pictures with a face of one prompt" });
    const values: MeasuredValue[] = [];
    const network = await openLpips(lpips, runtime);
    try {
      for (const [done, group] of [...groups.values()].entries()) {
        signal?.throwIfAborted();
        onProgress("Face Div", done, groups.size);
        const own = [...group].map((i) => pictures[i]!);
        const squares = await Promise.all(
          own.map(async ({ path, hash }) => faceSquare(await decodePhoto(path), boxIn(faces.get(hash)!))),
        );
        const { person, prompt } = own[0]!;
        for (const value of await network.distances(squares, pairsOf([...squares.keys()])))
          values.push({ person, prompt, value });
      }
    } finally {
      await network.close();
    }
    return groups.size === 0 ? {} : { faceDiversity: values };
  }

  /** Names the measures that are left out for want of a network or of pictures. */
  nameMissing(people: string | undefined, reference: string | undefined): void {
    const { clip, dino: ofDino, lpips, inception, faces } = this.#options;
    const without = (what: string, missing: string): void => void this.#leftOut.push({ what, why: `it needs ${missing}` });
    if (clip === undefined) without("CLIP-T", "--clip");
    if (clip === undefined || people === undefined) without("CLIP-I", clip === undefined ? "--clip" : "--people");
    if (ofDino === undefined || people === undefined) without("DINO", ofDino === undefined ? "--dino" : "--people");
    if (faces === undefined || people === undefined) without("Face Sim", faces === undefined ? "networks of faces" : "--people");
    if (faces === undefined || lpips === undefined) without("Face Div", lpips === undefined ? "--lpips" : "networks of faces");
    if (inception === undefined || reference === undefined)
      without("FID, KID", inception === undefined ? "--inception" : "--reference");
    if (clip === undefined || reference === undefined) without("CMMD", clip === undefined ? "--clip" : "--reference");
  }

  async #know(name: string, path: string): Promise<string> {
    const { tensors } = await openNetworkWeights(path, []);
    const key = (await fingerprint([...tensors.values()])).slice(0, 16);
    this.networks[name.toLowerCase()] = key;
    return key;
  }

  #keeping(name: string, key: string) {
    const { run, signal, onProgress = () => {} } = this.#options;
    return {
      folder: join(run, "features"),
      key: `${name.toLowerCase()}-${key}`,
      ...(signal && { signal }),
      onProgress: (done: number, total: number) => onProgress(name, done, total),
    };
  }

  #took({ features, broken }: FoundFeatures): ReadonlyMap<string, Float32Array> {
    for (const [hash, why] of broken) this.broken.set(hash, why);
    return features;
  }
}
