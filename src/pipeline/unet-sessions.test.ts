import { expect, test } from "vitest";
import { input } from "../graph/ops/source.ts";
import type { Runtime, Session } from "../runtime/runtime.ts";
import type { UNetGraph } from "./graphs.ts";
import { LazySession, type LoadObserver } from "./lazy-session.ts";
import { UNetSessions } from "./unet-sessions.ts";

const noise = input("x", [1]);
const graph = {
  unfinished: { outputs: { noise } },
  parts: () => ({ deep: { deep: noise }, outer: { noise } }),
  gated: () => ({ outputs: { noise }, layers: [] }),
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
  expect(unet.formFor({})).toBe("whole");
  expect(unet.formFor({ deepCache: 3 })).toBe("parts");
  expect(unet.formFor({ tGate: 5 })).toBe("gated");
  await unet.parts(silent);
  expect(unet.formFor({})).toBe("parts");
});

test("only one form is in memory: another is loaded when the one before is freed, ahead as well", async () => {
  const { log, unet } = sessions();
  await unet.whole(silent);
  await unet.loadAhead("parts", silent);
  expect(log).toEqual(["load unet", "free unet", "load unet: deep layers", "load unet: outer layers"]);
  await unet.parts(silent);
  expect(log.length).toBe(4);
});

test("who needs another form than the one that is loaded ahead waits until that is freed", async () => {
  const { log, unet } = sessions();
  const ahead = unet.loadAhead("whole", silent);
  const { deep } = await unet.parts(silent);
  await ahead;
  expect(deep).toBeDefined();
  expect(log.filter((line) => line === "load unet").length).toBe(log.filter((line) => line === "free unet").length);
  expect(log.slice(-2)).toEqual(["load unet: deep layers", "load unet: outer layers"]);
});
