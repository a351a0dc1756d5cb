import { describe, expect, test } from "vitest";
import { z } from "zod";
import { META_KEYS, metaOf } from "./option.ts";
import { GenerateRequest, LoadOptions, parseGenerateRequest, parseLoadOptions } from "./request.ts";

const SCHEMAS = { GenerateRequest, LoadOptions };
const OPTIONS = Object.entries(SCHEMAS).flatMap(([name, { shape }]) =>
  Object.entries<z.ZodType>(shape).map(([key, schema]) => ({ name: `${name}.${key}`, schema })),
);

test.each(OPTIONS)("$name has a group, a description and well-formed flags", ({ schema }) => {
  const meta = metaOf(schema)!;
  expect(meta).toBeDefined();
  for (const key of Object.keys(meta)) expect(META_KEYS).toContain(key);
  expect(meta.group).toMatch(/^[A-Z].*:$/);
  expect(typeof meta.description).toBe("string");
  if (meta.flag === undefined) expect([meta.short, meta.value, meta.otherwise]).toEqual([undefined, undefined, undefined]);
  else expect(meta.flag).toMatch(/^--[a-z0-9-]+$/);
  if (meta.short !== undefined) expect(meta.short).toMatch(/^-[a-z]$/);
});

test("options have distinct flags, and distinct names in a picture's text", () => {
  for (const field of ["flag", "short", "infotext"] as const) {
    const names = OPTIONS.map(({ schema }) => metaOf(schema)?.[field]).filter((name) => name !== undefined);
    expect(new Set(names).size).toBe(names.length);
  }
});

describe.each(Object.entries(SCHEMAS))("%s as JSON Schema", (name, schema) => {
  const json = z.toJSONSchema(schema, { io: "input" });

  test("has every option, with its meaning, and no other", () => {
    expect(json).toMatchObject({ type: "object", additionalProperties: false });
    expect(Object.keys(json.properties!)).toEqual(Object.keys(schema.shape));
    for (const [key, option] of Object.entries(json.properties!))
      expect(option).toMatchObject({ description: metaOf(schema.shape[key as never])!.description });
    expect(z.toJSONSchema(schema).properties).toHaveProperty(name === "LoadOptions" ? "loras" : "idTokens");
  });

  test("has the defaults of the schema", () => {
    const given = name === "LoadOptions" ? { model: "m" } : { prompt: "a" };
    const properties = Object.entries(z.toJSONSchema(schema).properties!);
    const defaults = properties.flatMap(([key, option]) =>
      typeof option === "object" && "default" in option ? [[key, option.default] as const] : [],
    );
    expect({ ...given, ...Object.fromEntries(defaults) }).toEqual(schema.parse(given));
  });

  test("accepts and refuses the same values as the zod schema", () => {
    const byJson = z.fromJSONSchema(json);
    const right = { LoadOptions: { model: "m", loras: [{ path: "l" }] }, GenerateRequest: WRITTEN }[name]!;
    expect(byJson.safeParse(right).error).toBeUndefined();
    const parse = { LoadOptions: parseLoadOptions, GenerateRequest: parseGenerateRequest }[name]!;
    const wrong: object[] = {
      LoadOptions: [{}, { model: "" }, { model: "m", device: "gpu" }, { model: "m", loras: [{}] }, { model: "m", x: 1 }],
      GenerateRequest: [
        {},
        { prompt: "a", width: 1001 },
        { prompt: "a", inputIdImages: [3] },
        { prompt: "a", inputIdImages: "a.png" },
        { prompt: "a", idTokens: "tokens.safetensors" },
        { prompt: "a", idTokens: { dims: [1, 2] } },
        { prompt: "a", idTokens: { dims: [1, 2], data: [1, "2"] } },
        { prompt: "a", people: [{ photos: "a.png" }] },
        { prompt: "a", control: [{ model: "m" }] },
        { prompt: "a", stepz: 3 },
      ],
    }[name]!;
    for (const each of wrong) {
      expect(byJson.safeParse(each).success, JSON.stringify(each)).toBe(false);
      expect(() => parse(each), JSON.stringify(each)).toThrow(expect.objectContaining({ name: "UserError" }));
    }
  });
});

/** Everything that can be written down, also what is not drawn yet. */
const WRITTEN = {
  prompt: "a man img beside a woman img",
  inputIdImages: ["a.png", "data:image/png;base64,iVBORw=="],
  idEmbeds: { dims: [2, 2], data: [1, 2, 3, 4] },
  idTokens: { dims: [1, 2], data: "AACAPwAAAEA=" },
  people: [
    { photos: ["a.png"], face: "largest", crop: [{ x: 1, y: 2, size: 3 }], trigger: "img", from: 3, weight: 0.5 },
    { idTokens: { dims: [1, 1], data: [1] }, region: { x: 0, y: 0, width: 0.5, height: 1 } },
    { photos: ["b.png"], face: 1, idEmbeds: "e.safetensors", region: { mask: "mask.png" } },
  ],
  image: "start.png",
  strength: 0.6,
  maskImage: "mask.png",
  maskBlur: 4,
  inpaintArea: "masked",
  maskPadding: 16,
  outpaint: [0, 0, 64, 0],
  pasteBack: true,
  control: [{ model: "org/pose", image: "pose.png", scale: 0.8, from: 0, to: 0.5 }],
  originalSize: [512, 768],
  latents: "noise.safetensors",
  seed: 3,
};
