import { expect, test } from "vitest";
import { input } from "../graph/ops/source.ts";
import type { Runtime, Session } from "../runtime/runtime.ts";
import type { UNetGraph } from "./graphs.ts";
import { LazySession, type LoadObserver } from "./lazy-session.ts";
import { UNetSessions } from "./unet-sessions.ts";

const noise = input("x", [1]);
const graph = {
  unfinished: { outputs: { noise } },
  forms: () => ({
    whole: () => ({ noise }),
    parts: () => ({ deep: { deep: noise }, outer: { noise } }),
    gated: () => ({ outputs: { noise }, layers: [] }),
  }),
} as unknown as UNetGraph;
const silent: LoadObserver = { loading: () => {}, loaded: () => {}, preparing: () => {}, noted: () => {} };

function sessions() {
  const log: string[] = [];
  const open = (name: string) => {
    const session = { close: async () => void log.push(`free ${name}`) } as unknown as Session;
    const load = async (): Promise<Session> => {
      log.push(`load ${name}`);
      return session;
    };
    return new LazySession<string>({ load } as unknown as Runtime, name, { noise });
  };
  return { log, unet: new UNetSessions(graph, open) };
}

test("a request's shortcut says which form it needs, and parts in memory serve a request without", async () => {
  const { unet } = sessions();
  expect(unet.formFor({})).toEqual({ kind: "whole", tokenDownsampling: 1 });
  expect(unet.formFor({ deepCache: 3 }).kind).toBe("parts");
  expect(unet.formFor({ tGate: 5 }).kind).toBe("gated");
  expect(unet.formFor({ tGate: 5, tokenDownsampling: 2 })).toEqual({ kind: "gated", tokenDownsampling: 2 });
  await unet.parts(1, silent);
  for (const without of [{}, { tokenDownsampling: 1 }]) expect(unet.formFor(without).kind).toBe("parts");
  expect(unet.formFor({ tokenDownsampling: 2 }).kind).toBe("whole"); // which those parts do not give
});

test("only one form is in memory: another is loaded when the one before is freed, ahead as well", async () => {
  const { log, unet } = sessions();
  await unet.whole(1, silent);
  await unet.loadAhead({ kind: "parts", tokenDownsampling: 1 }, silent);
  expect(log).toEqual(["load unet", "free unet", "load unet: deep layers", "load unet: outer layers"]);
  await unet.parts(1, silent);
  expect(log.length).toBe(4);
  await unet.parts(2, silent);
  expect(log.slice(4)).toEqual([
    ...["free unet: deep layers", "free unet: outer layers"],
    ...["load unet: deep layers", "load unet: outer layers"],
  ]);
});

test("who needs another form than the one that is loaded ahead waits until that is freed", async () => {
  const { log, unet } = sessions();
  const ahead = unet.loadAhead({ kind: "whole", tokenDownsampling: 1 }, silent);
  const { deep } = await unet.parts(1, silent);
  await ahead;
  expect(deep).toBeDefined();
  expect(log.filter((line) => line === "load unet").length).toBe(log.filter((line) => line === "free unet").length);
  expect(log.slice(-2)).toEqual(["load unet: deep layers", "load unet: outer layers"]);
});
