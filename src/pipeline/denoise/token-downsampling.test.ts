import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import type { GenerateInput } from "../../contract/request.ts";
import { readPngSettings } from "../../image/index.ts";
import { MAN_WITH_HAT, TINY_V1 } from "../../testing/tiny-model.ts";
import { PhotoMaker } from "../photomaker.ts";
import { checkTokenDownsampling } from "./token-downsampling.ts";

const cache = await mkdtemp(join(tmpdir(), "token-downsampling-"));
vi.stubEnv("PHOTOMAKER_CACHE", cache);
afterAll(() => rm(cache, { recursive: true }));

const base: GenerateInput = { ...MAN_WITH_HAT, numInferenceSteps: 3, startMergeStep: 0 };

test.each(["f32", "int8"] as const)(
  "%s: off to the bit with 1, and with 2 the same from every form of the UNet",
  async (precision) => {
    await using pm = await PhotoMaker.load({ ...TINY_V1, precision });
    const final = async (more: Partial<GenerateInput>): Promise<Float32Array> =>
      (await pm.generate({ ...base, ...more })).latents.final;
    const plain = await final({});
    const fewer = await final({ tokenDownsampling: 2 });
    expect(fewer).not.toEqual(plain);
    expect(await final({ tokenDownsampling: 2, deepCache: 1 })).toEqual(fewer);
    expect(await final({ tokenDownsampling: 2 })).toEqual(fewer); // from the parts, which stay
    expect(await final({ tokenDownsampling: 1 })).toEqual(plain);
  },
);

test("it goes together with T-GATE, and a picture tells of both", async () => {
  await using pm = await PhotoMaker.load(TINY_V1);
  const request = { ...base, tokenDownsampling: 2, tGate: 2 };
  const [both, gated] = [await pm.generate(request), await pm.generate({ ...base, tGate: 2 })];
  expect(both.latents.final).not.toEqual(gated.latents.final);
  const { parameters, settings } = readPngSettings(both.images[0]!.png);
  expect(parameters).toContain("Token downsampling: 2");
  expect(settings).toMatchObject({ tokenDownsampling: 2, tGate: 2 });
});

test("a UNet without attention is refused", () => {
  const without = { depth: [0, 0], midDepth: 0, upDepth: [0, 0] } as unknown as Parameters<typeof checkTokenDownsampling>[1];
  expect(() => checkTokenDownsampling({ tokenDownsampling: 2 }, without)).toThrow(
    expect.objectContaining({ code: "token-downsampling/no-attention", remedy: "Leave token downsampling out." }),
  );
  expect(() => checkTokenDownsampling({}, without)).not.toThrow();
  expect(() => checkTokenDownsampling({ tokenDownsampling: 2 }, { ...without, midDepth: 1 })).not.toThrow();
});
