import type { NdArray } from "../core/array.ts";
import type { Feeds, Session } from "../runtime/runtime.ts";
import type { Outputs } from "./graphs.ts";

/** A change of the UNet's graph. */
export interface GraphExtension {
  /** Stands for all that decides what the graph becomes: sessions of the same keys are the same. Absent where the graph stays as it is. */
  readonly key?: string;
  /** The graph with the change. */
  rewrite?(outputs: Outputs): Outputs;
  /** The graph as several that run one after the other. Of the extensions of a form, one at most does this, when all have rewritten. */
  split?(outputs: Outputs): readonly UNetPart[];
  /** Whether the graph answers the same to the bit as without the change where it is fed nothing more: then it serves in the other's place. */
  readonly servesWithout?: boolean;
}

/** One of the graphs that a UNet consists of. */
export interface UNetPart {
  /** What is shown while it is loaded. */
  readonly name: string;
  readonly outputs: Outputs;
  /** Those of its outputs that later parts take, with the names of the inputs that they are there. */
  readonly gives: Readonly<Record<string, string>>;
}

/**
 * The graphs of a UNet with some extensions.
 * @param whole the graph without, `noise` among its outputs
 * @param extensions in the order in which they rewrite it
 * @throws TypeError if two extensions split the graph
 */
export function partsOf(whole: Outputs, extensions: readonly GraphExtension[]): readonly UNetPart[] {
  const outputs = extensions.reduce((before, extension) => extension.rewrite?.(before) ?? before, whole);
  const [splits, other] = extensions.filter(({ split }) => split !== undefined);
  if (other !== undefined) throw new TypeError(`the UNet cannot be split twice, for ${splits!.key} and for ${other.key}`);
  return splits?.split?.(outputs) ?? [{ name: "unet", outputs, gives: {} }];
}

/** A UNet in memory: one session, or several that run one after the other. */
export class LoadedUNet {
  readonly #loaded: readonly { readonly part: UNetPart; readonly session: Session }[];

  constructor(loaded: readonly { readonly part: UNetPart; readonly session: Session }[]) {
    this.#loaded = loaded;
  }

  get parts(): readonly UNetPart[] {
    return this.#loaded.map(({ part }) => part);
  }

  /**
   * A part of which nothing is needed, because all that later parts take of it is fed, does not run.
   * @param feeds of all parts together
   * @param names of the outputs that are wanted
   * @returns these, and what parts gave to later ones, by the names of the inputs
   */
  async run(feeds: Feeds, names: readonly string[]): Promise<Feeds> {
    let known = feeds;
    const answer: Record<string, NdArray> = {};
    for (const { part, session } of this.#loaded) {
      const gives = Object.entries(part.gives).filter(([, input]) => !(input in known));
      const wanted = names.filter((name) => name in part.outputs);
      if (wanted.length + gives.length === 0) continue;
      const out = await session.run(known, [...new Set([...wanted, ...gives.map(([output]) => output)])]);
      const given = Object.fromEntries(gives.map(([output, input]) => [input, out[output]!]));
      known = { ...known, ...given };
      Object.assign(answer, given);
      for (const name of wanted) answer[name] = out[name]!;
    }
    return answer;
  }
}
