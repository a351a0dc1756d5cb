import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, expect } from "vitest";
import type { LoadOptions } from "../contract/request.ts";
import { PhotoMaker } from "../pipeline/photomaker.ts";
import { describe } from "../weights/describe.node.ts";
import { goldenPath } from "./golden.ts";
import { type Made, safetensorsOf, single } from "./number-formats.ts";
import { randomArray } from "./random-array.ts";
import { cli } from "./run-cli.ts";
import { TINY_V1 } from "./tiny-model.ts";

/** What a command made. */
export interface DrawnPicture {
  /** [height, width, 3] */
  readonly pixels: Uint8Array;
  /** Codes of its notices. */
  readonly notices: readonly string[];
  readonly messages: readonly string[];
  readonly path: string;
  /** As the PNG has them. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** What a command refused. */
export interface RefusedCommand {
  readonly code: string;
  readonly problem: string;
  readonly remedy: string;
}

export const PERSON = goldenPath("photos", "person_0.png");
export const WITH_V1 = ["--adapter", TINY_V1.adapter, "--id-image", PERSON];
export const WITH_V2 = ["--adapter", goldenPath("tiny-photomaker-v2.bin"), "--id-image", PERSON];

/** Pipelines that stay loaded: each has processes of its own. */
const MOST_LOADED = 3;

/** Runs `photomaker` as a user does, in this process, on the tiny model unless a flag names another. The models used last stay loaded. */
export class Situation {
  folder = "";
  /** The tiny model. */
  readonly model = TINY_V1.model;
  readonly #loaded = new Map<string, Promise<PhotoMaker>>();
  #count = 0;

  /** Opens it before the tests of a file, and closes it after them. */
  static forTests(): Situation {
    const situation = new Situation();
    beforeAll(async () => {
      situation.folder = await mkdtemp(join(tmpdir(), "situations-"));
    });
    afterAll(async () => {
      for (const loading of situation.#loaded.values()) await (await loading.catch(() => undefined))?.close();
      await rm(situation.folder, { recursive: true });
    });
    return situation;
  }

  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  /** Writes a file. @returns its path */
  async write(name: string, content: string | Uint8Array): Promise<string> {
    await writeFile(this.path(name), content);
    return this.path(name);
  }

  /** Writes a safetensors file. @returns its path */
  tensors(name: string, tensors: Readonly<Record<string, Made>> | ReadonlyMap<string, Made>, metadata?: Record<string, string>) {
    const map = tensors instanceof Map ? tensors : new Map(Object.entries(tensors));
    return this.write(`${name}.safetensors`, safetensorsOf(map, metadata));
  }

  async run(...args: string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
    const load = async (options: LoadOptions): Promise<PhotoMaker> => {
      const key = JSON.stringify({ ...options, unloadAfterUse: false });
      const known = this.#loaded.get(key) ?? PhotoMaker.load({ ...options, unloadAfterUse: false });
      known.catch(() => {}); // thrown below, after older ones are closed
      this.#loaded.delete(key); // the last used is the last
      this.#loaded.set(key, known);
      const [oldest] = this.#loaded.keys();
      if (this.#loaded.size > MOST_LOADED) {
        const old = this.#loaded.get(oldest!)!;
        this.#loaded.delete(oldest!);
        await (await old.catch(() => undefined))?.close();
      }
      const pm = await known;
      const kept = { [Symbol.asyncDispose]: async () => {} };
      return new Proxy(pm, {
        get: (_, name) => {
          if (name in kept) return kept[name as keyof typeof kept];
          const value: unknown = Reflect.get(pm, name, pm);
          return typeof value === "function" ? (value as (...a: unknown[]) => unknown).bind(pm) : value;
        },
      });
    };
    return cli(args, { load, describe });
  }

  /** Draws a picture of 64x64 in 2 steps. */
  async drawn(...flags: string[]): Promise<DrawnPicture> {
    const { code, out, err } = await this.#generate(flags);
    expect(out + err).not.toMatch(/\n {4}at /);
    expect([code, code === 0 ? "" : out + err]).toEqual([0, ""]);
    const { images, notices } = JSON.parse(out) as {
      images: { path: string; settings: Record<string, unknown> }[];
      notices: { code: string; message: string }[];
    };
    const [image] = images as [(typeof images)[0]];
    return {
      pixels: await picturePixels(image.path),
      notices: notices.map((notice) => notice.code),
      messages: notices.map(({ message }) => message),
      path: image.path,
      settings: image.settings,
    };
  }

  /** Expects an error that the user can correct. */
  async refused(...flags: string[]): Promise<RefusedCommand> {
    const { code, out, err } = await this.#generate(flags);
    expect([code, err]).toEqual([1, ""]);
    return (JSON.parse(out.trim().split("\n").at(-1)!) as { error: RefusedCommand }).error;
  }

  #generate(flags: readonly string[]) {
    const given = (...names: string[]) => names.some((name) => flags.includes(name));
    return this.run(
      ...["generate", "--json", "--width", "64", "--height", "64"],
      ...(given("--model") ? [] : ["--model", TINY_V1.model]),
      ...(given("--seed", "--config") ? [] : ["--seed", "1"]),
      ...(given("--steps") ? [] : ["--steps", "2"]),
      ...(given("--prompt", "--config", "--prompts") ? [] : ["--prompt", given("--adapter") ? "a man img" : "a cat"]),
      ...(given("--out") ? [] : ["--out", this.path(`${this.#count++}.png`)]),
      ...flags,
    );
  }
}

/** Pixels of a picture, 8 bits each, RGB. */
export const picturePixels = async (path: string): Promise<Uint8Array> =>
  new Uint8Array(await sharp(path).removeAlpha().raw().toBuffer());

/** The largest difference of two pictures' pixels, in levels of 255. */
export const levelsApart = ({ pixels: a }: DrawnPicture, { pixels: b }: DrawnPicture): number =>
  a.length === b.length ? a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0) : Number.POSITIVE_INFINITY;

/** A tensor of normal random numbers. */
export const noise = (seed: number, ...shape: number[]): Made => single([...randomArray(seed, ...shape).data], shape);
