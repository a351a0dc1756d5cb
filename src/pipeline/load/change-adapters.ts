import { isDeepStrictEqual } from "node:util";
import type { LoadOptions } from "../../contract/request.ts";
import type { Notice } from "../../core/notice.ts";
import { NO_PAIRS, textGraph, type Unfinished, unetGraph } from "../../sessions/graphs.ts";
import { gb } from "../../sessions/memory.ts";
import type { Precision } from "../../sessions/precision.ts";
import type { TextEncoder } from "../../sessions/text/text-stage.ts";
import type { ModelFiles } from "../../weights/model.ts";
import { openAdapter } from "../../weights/open-adapter.node.ts";
import type { ComponentName } from "../../weights/sdxl-single-file.ts";
import { fewStepNotices } from "../settle.ts";
import { detectFewStep } from "./few-step.ts";
import { type CollectedLoras, collectLoras } from "./loras.ts";
import type { LivePairs, MakeSessions } from "./make-sessions.ts";
import { modelSizes, parametersIn } from "./model-sizes.ts";
import type { Opened } from "./opened.ts";
import { type OpenedAdapter, openedAdapter } from "./opened-adapter.ts";

/** Replaces the adapter and the LoRAs of opened models; models that change are unloaded first. */
export type ChangeAdapters = (
  before: Opened,
  options: LoadOptions,
  signal?: AbortSignal,
) => Promise<{ readonly opened: Opened; readonly notices: readonly Notice[] }>;

/** The few-step model that is recognised from the model's file and its LoRAs. */
export const fewStepOf = (
  model: ModelFiles,
  loras: LoadOptions["loras"],
  metadata: readonly Readonly<Record<string, string>>[],
): Opened["fewStep"] =>
  detectFewStep([
    { kind: "model", path: model.parts.unet ?? model.path, metadata: model.metadata, scheduler: model.scheduler },
    ...loras.flatMap(({ path, scale }, i) => (scale > 0 ? [{ kind: "lora" as const, path, metadata: metadata[i]! }] : [])),
  ]);

/**
 * Makes the function that changes the adapter and the LoRAs of opened models. Graphs and sessions are made anew only for models whose LoRAs
 * change, and for another ID encoder. After a first change, strengths are inputs of the session, except in int8; a change of strengths alone
 * then keeps the session.
 * @param adapterAtLoad the adapter that the models were opened with
 * @param changesAtLoad the changes of weights that they were opened with
 * @returns a function that throws UserErrors of openAdapter, openedAdapter and collectLoras, or the signal's reason, before anything has changed
 */
export function changeAdapters(
  model: ModelFiles,
  adapterAtLoad: OpenedAdapter | undefined,
  precision: Precision,
  { textEncoder, idEncoder, denoiser }: Pick<MakeSessions, "textEncoder" | "idEncoder" | "denoiser">,
  changesAtLoad: CollectedLoras["changes"],
): ChangeAdapters {
  /** LoRAs of models that were made anew since the load. */
  const live = new Map<ComponentName, LivePairs>();
  let weightChanges = changesAtLoad;
  let adapter = adapterAtLoad;
  /** Number of changes of the adapter since the load. */
  let adapters = 0;
  return async (before, options, signal) => {
    const files = options.adapter === undefined ? undefined : await openAdapter(options.adapter);
    const loras = await collectLoras(model, files, options.adapterScale, options.loras);
    const { pairs, metadata, notices } = loras;
    const fewStep = fewStepOf(model, options.loras, metadata);
    const wanted = files && (await openedAdapter(files, before.unet.graph.config.contextDim));
    const sameAdapter = isDeepStrictEqual(encoderOf(adapter), encoderOf(wanted));
    const unloads: (() => Promise<unknown>)[] = [];
    const changes: (() => void)[] = [];
    /** Models whose weights in 8 bits are other ones now, with the number of their parameters. */
    const otherWeights: [name: string, parameters: number][] = [];
    function changed<M extends { readonly graph: { readonly unfinished: Unfinished } }>(
      name: ComponentName,
      one: M,
      again: (live: LivePairs) => M,
      unload: () => Promise<void>,
    ): M {
      const after = pairs.get(name) ?? NO_PAIRS;
      const { unfinished } = one.graph;
      const sameWeights = weightChanges.get(name) === loras.changes.get(name);
      if (sameWeights && isDeepStrictEqual(unfinished.pairs, after)) return one;
      const there = live.get(name);
      if (
        sameWeights &&
        precision !== "int8" &&
        there !== undefined &&
        isDeepStrictEqual(withoutScales(unfinished.pairs), withoutScales(after))
      ) {
        changes.push(() => {
          there.pairs = after;
        });
        return { ...one, graph: { ...one.graph, unfinished: { ...unfinished, pairs: after } } };
      }
      const anew = { pairs: after };
      unloads.push(unload);
      changes.push(() => void live.set(name, anew));
      otherWeights.push([name, parametersIn(model.components[name].tensors)]);
      return again(anew);
    }
    function textAfter(name: "text_encoder" | "text_encoder_2", one: TextEncoder): TextEncoder {
      const again = (own: LivePairs) =>
        textEncoder(name, textGraph(loras.model, name, pairs, one.graph.takesVectors), one.changes, own);
      const after = changed(name, one, again, () => one.session.unload());
      return after === one ? one : { ...after, changes: one.changes + 1 };
    }
    function identityAfter(one: Opened["identity"]): Opened["identity"] {
      if (sameAdapter) return one;
      unloads.push(() => Promise.all([one?.encode.unload(), one?.fuse.unload()]));
      changes.push(() => void adapters++);
      if (wanted !== undefined) otherWeights.push(["id_encoder", parametersIn(wanted.files.idEncoder)]);
      return wanted && idEncoder(wanted, adapters + 1);
    }
    const { unet, text, room } = before;
    const opened: Opened = {
      ...before,
      options,
      fewStep,
      room: room && { ...room, sizes: modelSizes(model, files, unet.graph) },
      text: [textAfter("text_encoder", text[0]), textAfter("text_encoder_2", text[1])],
      identity: identityAfter(before.identity),
      unet: changed(
        "unet",
        unet,
        (own) => denoiser(unetGraph(loras.model, pairs), own),
        () => unet.sessions.unload(),
      ),
    };
    signal?.throwIfAborted();
    for (const unload of unloads) await unload();
    signal?.throwIfAborted(); // what was unloaded is loaded again when it is needed
    for (const change of changes) change();
    weightChanges = loras.changes;
    adapter = wanted;
    return { opened, notices: [...notices, ...fewStepNotices(fewStep), ...preparingNotices(precision, otherWeights)] };
  };
}

/** Content of an adapter on which its ID encoder depends. */
const encoderOf = (adapter: OpenedAdapter | undefined) =>
  adapter && { version: adapter.files.version, tensors: adapter.files.idEncoder, config: adapter.config };

const withoutScales = (pairs: Unfinished["pairs"]) =>
  new Map([...pairs].map(([path, own]) => [path, own.map(({ down, up, group }) => ({ down, up, group }))]));

/** Gives a notice about weights in 8 bits, a byte for each parameter, that are other ones than before. */
function preparingNotices(precision: Precision, models: readonly (readonly [name: string, parameters: number])[]): Notice[] {
  if (precision !== "int8" || models.length === 0) return [];
  const named = models.map(([name, parameters]) => `${name} (${gb(parameters)})`).join(", ");
  const message = `In int8 LoRAs are part of the weights. Unless they were prepared like this before, weights are prepared anew when they are next needed, or by prepare: ${named}.`;
  return [{ code: "precision/prepares-anew", message }];
}
