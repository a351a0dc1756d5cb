import { isDeepStrictEqual } from "node:util";
import type { LoadOptions } from "../../contract/request.ts";
import type { Notice } from "../../core/notice.ts";
import { NO_PAIRS, textGraph, type Unfinished, unetGraph } from "../../sessions/graphs.ts";
import type { Precision } from "../../sessions/precision.ts";
import type { TextEncoder } from "../../sessions/text/text-stage.ts";
import type { AdapterFiles } from "../../weights/adapter.ts";
import type { ModelFiles } from "../../weights/model.ts";
import type { ComponentName } from "../../weights/sdxl-single-file.ts";
import { fewStepNotices } from "../settle.ts";
import { detectFewStep } from "./few-step.ts";
import { type CollectedLoras, collectLoras } from "./loras.ts";
import type { LivePairs, MakeSessions } from "./make-sessions.ts";
import type { Opened } from "./opened.ts";

/** Replaces the LoRAs of opened models; models whose LoRAs change are unloaded first. */
export type ChangeLoras = (
  before: Opened,
  options: LoadOptions,
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
 * Makes the function that changes the LoRAs of opened models. Graphs and sessions are made anew only for models whose LoRAs change. After a
 * first change, strengths are inputs of the session, except in int8; a change of strengths alone then keeps the session.
 * @returns a function that throws UserErrors of collectLoras, before anything has changed
 */
export function changeLoras(
  model: ModelFiles,
  adapter: AdapterFiles | undefined,
  precision: Precision,
  { textEncoder, denoiser }: Pick<MakeSessions, "textEncoder" | "denoiser">,
  atLoad: CollectedLoras["changes"],
): ChangeLoras {
  /** LoRAs of models that were made anew since the load. */
  const live = new Map<ComponentName, LivePairs>();
  let weightChanges = atLoad;
  return async (before, options) => {
    const loras = await collectLoras(model, adapter, options.adapterScale, options.loras);
    const { pairs, metadata, notices } = loras;
    const fewStep = fewStepOf(model, options.loras, metadata);
    const unloads: (() => Promise<void>)[] = [];
    const changes: (() => void)[] = [];
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
      return again(anew);
    }
    function textAfter(name: "text_encoder" | "text_encoder_2", one: TextEncoder): TextEncoder {
      const again = (own: LivePairs) =>
        textEncoder(name, textGraph(loras.model, name, pairs, one.graph.takesVectors), one.changes, own);
      const after = changed(name, one, again, () => one.session.unload());
      return after === one ? one : { ...after, changes: one.changes + 1 };
    }
    const { unet, text } = before;
    const opened: Opened = {
      ...before,
      options,
      fewStep,
      text: [textAfter("text_encoder", text[0]), textAfter("text_encoder_2", text[1])],
      unet: changed(
        "unet",
        unet,
        (own) => denoiser(unetGraph(loras.model, pairs), own),
        () => unet.sessions.unload(),
      ),
    };
    for (const unload of unloads) await unload();
    for (const change of changes) change();
    weightChanges = loras.changes;
    return { opened, notices: [...notices, ...fewStepNotices(fewStep)] };
  };
}

const withoutScales = (pairs: Unfinished["pairs"]) =>
  new Map([...pairs].map(([path, own]) => [path, own.map(({ down, up, group }) => ({ down, up, group }))]));
