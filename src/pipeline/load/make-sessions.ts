import { basename } from "node:path";
import type { WeightRange } from "../../runtime/eight-bit-probe.ts";
import type { ToPrepare } from "../../runtime/prepare.ts";
import type { Feeds, Runtime } from "../../runtime/runtime.ts";
import { hasComputed, withAllComputed, withComputed } from "../../sessions/computed-weights.ts";
import {
  loraScales,
  NO_PAIRS,
  type Outputs,
  type TextGraph,
  type UNetGraph,
  type Unfinished,
  withLoras,
} from "../../sessions/graphs.ts";
import { LazySession, type Prepare } from "../../sessions/lazy-session.ts";
import { inEightBits, type Precision } from "../../sessions/precision.ts";
import { computeInCache, prepareInCache } from "../../sessions/runtimes.node.ts";
import type { TextEncoder } from "../../sessions/text/text-stage.ts";
import { UNetSessions } from "../../sessions/unet-sessions.ts";
import { COMPONENTS, type ComponentName } from "../../weights/sdxl-single-file.ts";
import type { IdEncoder } from "../encode/id-stage.ts";
import type { Opened } from "./opened.ts";
import type { OpenedAdapter } from "./opened-adapter.ts";

/** The LoRAs of a model whose strengths may change while it is loaded. */
export interface LivePairs {
  pairs: Unfinished["pairs"];
}

export interface SessionOptions {
  /** Name of the session; the model's name when absent. */
  readonly name?: string;
  /** False where float16 overflows. */
  readonly half?: boolean;
  readonly on?: Runtime;
  /** LoRAs whose strengths become inputs. Ignored in int8, where LoRAs are part of the weights. */
  readonly live?: LivePairs;
}

/** Runtimes and precision of the models of one load. */
export interface SessionPlan {
  readonly runtime: Runtime;
  /** The runtime of text and ID encoders, which may be the same. */
  readonly encoders: Runtime;
  readonly precision: Precision;
  /** Range of 8-bit weights whose products are correct. */
  readonly weightRange: WeightRange | undefined;
  /** The user's name of the file or folder that a component's weights come from. */
  readonly from: (name: ComponentName) => string;
}

/** The component whose file a model is said to come from; those of an adapter or a tiny VAE are said to come from the UNet's. */
const componentOf = (model: string): ComponentName => COMPONENTS.find((name) => name === model) ?? "unet";

export type MakeSessions = ReturnType<typeof makeSessions>;

/** Makes functions that create the sessions of a load: each model in the chosen precision, with its LoRAs. */
export function makeSessions({ runtime, encoders, precision, weightRange, from }: SessionPlan) {
  const lazy = <Name extends string>(
    name: string,
    outputs: Outputs<Name> | Prepare<Name>,
    half = false,
    on = runtime,
    always?: () => Feeds,
  ) =>
    new LazySession(
      on,
      name,
      withAllComputed({ model: name, from: from(componentOf(name)) }, outputs, computeInCache),
      half,
      always,
    );

  /** Makes a session. @param outputs outputs of the model, or of another graph over the same weights */
  function inPrecision<Name extends string>(
    whole: ToPrepare,
    outputs: Outputs<Name>,
    { name = whole.model, half = precision === "f16", on = runtime, live }: SessionOptions = {},
  ): LazySession<Name> {
    if (precision === "int8")
      return lazy(name, inEightBits({ ...whole, weightRange }, outputs, prepareInCache, computeInCache), false, on);
    const graph = withLoras(outputs, whole.pairs, live !== undefined);
    const ready = hasComputed(whole.outputs) ? withComputed(whole, graph, computeInCache) : graph;
    return lazy(name, ready, half, on, live && (() => loraScales(live.pairs)));
  }

  /** Makes a text encoder. @param changes number of changes of the encoder's LoRAs since the load */
  function textEncoder(model: "text_encoder" | "text_encoder_2", graph: TextGraph, changes = 0, live?: LivePairs): TextEncoder {
    const { unfinished } = graph;
    const session = inPrecision({ model, from: from(model), ...unfinished }, unfinished.outputs, {
      on: encoders,
      ...(live && { live }),
    });
    return { graph, session, changes };
  }

  const denoiser = (graph: UNetGraph, live?: LivePairs): Opened["unet"] => ({
    graph,
    sessions: new UNetSessions(graph.unfinished.outputs, (name, outputs) =>
      inPrecision({ model: "unet", from: from("unet"), ...graph.unfinished }, outputs, { name, ...(live && { live }) }),
    ),
  });

  /** Makes an adapter's ID encoder. @param changes number of changes of the adapter since the load */
  const idEncoder = ({ files, graph }: OpenedAdapter, changes = 0): IdEncoder => ({
    graph,
    encode: inPrecision(
      { model: "id_encoder", from: basename(files.path), outputs: graph.encode, pairs: NO_PAIRS },
      graph.encode,
      { on: encoders },
    ),
    fuse: lazy("fuse_module", graph.fuse, false, encoders),
    everyToken: files.version === "v2",
    changes,
  });

  return { lazy, inPrecision, textEncoder, idEncoder, denoiser };
}
