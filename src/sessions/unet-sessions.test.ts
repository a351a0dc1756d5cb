import { expect, test } from "vitest";
import { input } from "../graph/ops/source.ts";
import type { Runtime, Session } from "../runtime/runtime.ts";
import { LazySession, type LoadObserver } from "./lazy-session.ts";
import type { GraphExtension } from "./unet-form.ts";
import { UNetSessions } from "./unet-sessions.ts";

const noise = input("x", [1]);
const inParts: GraphExtension = {
  ...{ key: "parts", servesWithout: true },
  split: () => [
    { name: "unet: deep layers", outputs: { deep: noise }, gives: { deep: "deepFeature" } },
    { name: "unet: outer layers", outputs: { noise }, gives: {} },
  ],
};
const gated: GraphExtension = { key: "gated", rewrite: (outputs) => outputs };
const fewer: GraphExtension = { key: "fewer:2", rewrite: (outputs) => outputs };
/** Changes no graph. */
const nothing: GraphExtension = {};
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
  return { log, unet: new UNetSessions({ noise }, open) };
}

test("a request's extensions say which form it needs, and parts in memory serve a request without", async () => {
  const { unet } = sessions();
  expect(unet.formFor([])).toBe("unet");
  expect(unet.formFor([inParts])).toBe("unet+parts");
  expect(unet.formFor([gated])).toBe("unet+gated");
  expect(unet.formFor([fewer, gated])).toBe("unet+fewer:2+gated");
  await unet.get([inParts], silent);
  for (const without of [[], [nothing]]) expect(unet.formFor(without)).toBe("unet+parts");
  expect(unet.formFor([fewer])).toBe("unet+fewer:2"); // which those parts do not give
  await unet.get([fewer, inParts], silent);
  expect(unet.formFor([fewer])).toBe("unet+fewer:2+parts");
  for (const other of [[], [inParts]]) expect(unet.formFor(other)).not.toContain("fewer");
  await unet.get([gated], silent);
  expect(unet.formFor([])).toBe("unet"); // what must be fed more does not serve
});

test("only one form is in memory: another is loaded when the one before is freed, ahead as well", async () => {
  const { log, unet } = sessions();
  await unet.get([], silent);
  await unet.loadAhead([inParts], silent);
  expect(log).toEqual(["load unet", "free unet", "load unet: deep layers", "load unet: outer layers"]);
  await unet.get([inParts], silent);
  expect(log.length).toBe(4);
  await unet.get([fewer, inParts], silent);
  expect(log.slice(4)).toEqual([
    ...["free unet: deep layers", "free unet: outer layers"],
    ...["load unet: deep layers", "load unet: outer layers"],
  ]);
});

test("who needs another form than the one that is loaded ahead waits until that is freed", async () => {
  const { log, unet } = sessions();
  const ahead = unet.loadAhead([], silent);
  const { parts } = await unet.get([inParts], silent);
  await ahead;
  expect(parts[0]).toMatchObject({ name: "unet: deep layers" });
  expect(log.filter((line) => line === "load unet").length).toBe(log.filter((line) => line === "free unet").length);
  expect(log.slice(-2)).toEqual(["load unet: deep layers", "load unet: outer layers"]);
});
