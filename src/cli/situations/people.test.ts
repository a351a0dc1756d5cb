import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { openFacePack } from "../../faces/pack/open-pack.node.ts";
import { AttributeProto_AttributeType, ModelProtoSchema } from "../../graph/onnx/onnx_pb.ts";
import { readPhoto } from "../../image/index.ts";
import { goldenPath } from "../../testing/golden.ts";
import { single } from "../../testing/number-formats.ts";
import { PERSON, picturePixels, Situation } from "../../testing/situation.ts";
import { TINY_V1 } from "../../testing/tiny-model.ts";

const here = Situation.forTests();
const V1 = ["--adapter", TINY_V1.adapter];
const V2 = ["--adapter", goldenPath("tiny-photomaker-v2.bin")];
const real = (name: string): string => goldenPath("faces", "photos", name);
const [ARDERN, ARDERN_2, MACRON] = ["ardern_2018.jpg", "ardern_2022.jpg", "macron_2025.jpg"].map(real) as [
  string,
  string,
  string,
];
const OTHER = goldenPath("photos", "person_1.png");

/** The golden networks as a pack; the recogniser's 32 numbers come sixteen times, since the adapter takes 512. */
async function makePack(path: string): Promise<void> {
  await mkdir(path);
  await copyFile(goldenPath("faces", "scrfd", "model.onnx"), join(path, "scrfd_10g_bnkps.onnx"));
  const model = fromBinary(ModelProtoSchema, await readFile(goldenPath("faces", "arcface", "model.onnx")));
  const graph = model.graph!;
  const [output] = graph.output;
  const { name } = output!;
  const last = graph.node.find((node) => node.output.includes(name))!;
  last.output = last.output.map((each) => (each === name ? "once" : each));
  const concat = create(ModelProtoSchema, {
    graph: {
      node: [
        {
          ...{ opType: "Concat", name: "sixteen", input: Array<string>(16).fill("once"), output: [name] },
          attribute: [{ name: "axis", i: 1n, type: AttributeProto_AttributeType.INT }],
        },
      ],
    },
  });
  graph.node.push(...concat.graph!.node);
  const value = output!.type!.value;
  if (value.case === "tensorType") value.value.shape!.dim.at(-1)!.value = { case: "dimValue", value: 512n };
  await writeFile(join(path, "glintr100.onnx"), toBinary(ModelProtoSchema, model));
}

describe("a V2 adapter with a pack of face networks", () => {
  let pack: string;
  beforeAll(async () => {
    pack = here.path("antelopev2");
    await makePack(pack);
  });

  test("needs no --id-embeds: the vectors are those of the pack, of the largest face of each photo", async () => {
    const photos = [PERSON, MACRON];
    const direct = await openFacePack(pack, { threads: 1 });
    const rows: number[] = [];
    for (const path of photos) {
      const picture = await readPhoto(path);
      const area = ({ box }: { box: { left: number; top: number; right: number; bottom: number } }) =>
        (box.right - box.left) * (box.bottom - box.top);
      const [largest] = (await direct.detect(picture)).toSorted((a, b) => area(b) - area(a));
      rows.push(...(await direct.embed(picture, largest!.points)));
    }
    await direct.unload();
    const embeds = await here.tensors("embeds", { id_embeds: single(rows, [2, 512]) });
    const expected = await here.drawn(...V2, "--id-image", ...photos, "--id-embeds", embeds);
    for (const crop of ["auto", "off"]) {
      const made = await here.drawn(...V2, "--id-image", ...photos, "--faces", pack, "--id-crop", crop);
      expect(made.pixels).toEqual(expected.pixels);
      expect(made.notices.filter((code) => code === "face-pack/licence")).toHaveLength(1);
    }
    const other = await here.drawn(...V2, "--id-image", OTHER, MACRON, "--id-embeds", embeds);
    expect(other.pixels).not.toEqual(expected.pixels);
  });

  test("without one, both ways are named", async () => {
    const { code, remedy } = await here.refused(...V2, "--id-image", PERSON);
    expect([code, remedy]).toEqual(["id-embeds/missing", expect.stringMatching(/--faces <path>.*--id-embeds <file>/)]);
  });
});

/** Two people side by side, both small; the second is the one in ARDERN. */
async function group(): Promise<string> {
  const small = (path: string, height: number) => sharp(path).resize({ height }).toBuffer();
  const path = here.path("group.png");
  await sharp({ create: { width: 1200, height: 800, channels: 3, background: "#808080" } })
    .composite([
      { input: await small(MACRON, 420), left: 60, top: 60 },
      { input: await small(ARDERN_2, 330), left: 800, top: 300 },
    ])
    .png()
    .toFile(path);
  return path;
}

test("who was taken of a group photo is in the picture's settings, which make it again", async () => {
  const path = await group();
  const drawn = await here.drawn(...V1, "--id-image", `${path}#2`);
  expect(drawn.settings).toMatchObject({
    inputIdImages: ["group.png#2"],
    idCrop: "auto",
    idFaces: [{ photo: "group.png", face: 1, turn: 0, crop: { size: expect.any(Number) } }],
  });
  const again = await here.drawn("--config", drawn.path, "--model", here.model, ...V1);
  expect(again.pixels).toEqual(drawn.pixels);
  expect(again.settings).toEqual(drawn.settings);
  const known = await here.drawn(...V1, "--id-image", path, ARDERN);
  expect(known.settings.idFaces).toMatchObject([{ face: 1 }, { face: 0, crop: null }]);
  const first = await here.drawn(...V1, "--id-image", path);
  expect(first.settings.idFaces).toMatchObject([{ face: 0 }]);
  expect(first.pixels).not.toEqual(drawn.pixels);
  const noise = await here.drawn(...V1, "--id-image", ARDERN, "--id-background", "noise");
  expect(noise.settings).toMatchObject({ idBackground: "noise" });
  const redrawn = await here.drawn("--config", noise.path, "--model", here.model, ...V1, "--id-image", ARDERN);
  expect(redrawn.pixels).toEqual(noise.pixels);
  expect((await here.drawn(...V1, "--id-image", ARDERN)).pixels).not.toEqual(noise.pixels);
});

test("one photo with and without a choice of its face is used once, as chosen", async () => {
  const path = await group();
  const { notices, settings } = await here.drawn(...V1, "--id-image", path, `${path}#2`);
  expect(notices).toContain("id-images/repeated");
  expect(settings.inputIdImages).toEqual(["group.png#2"]);
});

describe("a person's file", () => {
  let file: string;
  beforeAll(async () => {
    file = here.path("me.person.safetensors");
    const { code, out, err } = await here.run("person", ARDERN, PERSON, "--model", here.model, ...V1, "--out", file, "--json");
    expect([code, err]).toEqual([0, ""]);
    expect(JSON.parse(out)).toMatchObject({ path: file, adapter: "tiny-photomaker-v1.bin", found: [{ face: 0 }, { face: 0 }] });
  });

  test("draws the picture of the photos, to the bit, and is named in its settings", async () => {
    const photos = await here.drawn(...V1, "--id-image", ARDERN, PERSON);
    const person = await here.drawn(...V1, "--person", file);
    expect(person.pixels).toEqual(photos.pixels);
    expect(person.settings).toMatchObject({ person: "me.person.safetensors", inputIdImages: [] });
    const again = await here.drawn("--config", person.path, "--model", here.model, ...V1);
    expect(again.pixels).toEqual(person.pixels);
    const others = await here.drawn("--config", person.path, "--model", here.model, ...V1, "--id-image", OTHER);
    expect(others.settings).not.toHaveProperty("person");
  });

  test("of another adapter, damaged, newer or beside photos is refused", async () => {
    const code = async (...flags: string[]) => (await here.refused(...flags)).code;
    expect(await code(...V2, "--person", file)).toBe("person/other-adapter");
    expect(await code("--person", file)).toBe("person/not-wanted");
    expect(await code(...V1, "--person", file, "--id-image", PERSON)).toBe("person/given-twice");
    expect(await code(...V1, "--person", TINY_V1.adapter)).toBe("person/not-a-person");
    const newer = await here.tensors("newer", {}, { format: "photomaker-person", version: "9" });
    expect(await code(...V1, "--person", newer)).toBe("person/newer");
    const empty = await here.tensors("empty", {}, { format: "photomaker-person", version: "1" });
    expect(await code(...V1, "--person", empty)).toBe("person/not-a-person");
  });

  test("is refused where it would have no adapter, or another format", async () => {
    const run = async (...args: string[]) => (await here.run("person", PERSON, ...args, "--json")).out;
    expect(await run("--model", here.model, "--out", file)).toContain("id-images/not-wanted");
    expect(await run("--model", here.model, ...V1, "--out", "me.png")).toContain("out/unknown-format");
  });
});

describe("people are mixed", () => {
  const drawn = (...flags: string[]) => here.drawn(...V1, "--id-image", PERSON, ...flags);

  test("by shares of the stack: one of two tokens is both photos as one person's", async () => {
    const half = await drawn("--mix", OTHER);
    expect(half.pixels).toEqual((await here.drawn(...V1, "--id-image", PERSON, OTHER)).pixels);
    const quarter = await drawn("--mix", `${OTHER}:0.25`);
    expect(quarter.settings).toMatchObject({ mix: [{ photos: ["person_1.png"], share: 0.25 }] });
    expect(quarter.pixels).not.toEqual(half.pixels);
    const again = await here.drawn(
      "--config",
      quarter.path,
      "--model",
      here.model,
      ...V1,
      "--id-image",
      PERSON,
      "--mix",
      `${OTHER}:0.25`,
    );
    expect(again.pixels).toEqual(quarter.pixels);
  });

  test("by weights: equal ones leave the stack as it is", async () => {
    const half = await drawn("--mix", OTHER, "--mix-by", "weights");
    expect(half.pixels).toEqual((await drawn("--mix", OTHER)).pixels);
    const little = await drawn("--mix", `${OTHER}:0.1`, "--mix-by", "weights");
    expect(little.pixels).not.toEqual(half.pixels);
  });

  test("with a person's file, several photos, and from a config", async () => {
    const file = here.path("other.person.safetensors");
    const { code } = await here.run("person", OTHER, "--model", here.model, ...V1, "--out", file);
    expect(code).toBe(0);
    const wanted = await drawn("--mix", `${OTHER}:0.3`);
    expect((await drawn("--mix", `${file}:0.3`)).pixels).toEqual(wanted.pixels);
    const config = await here.write(
      "mix.json",
      JSON.stringify({ prompt: "a man img", seed: 1, idImage: PERSON, mix: ["other.person.safetensors:0.3"] }),
    );
    expect((await here.drawn("--config", config, ...V1)).pixels).toEqual(wanted.pixels);
    const both = await drawn("--mix", ARDERN, `${MACRON}:0.3`, OTHER);
    expect(both.settings.mix).toMatchObject([
      { photos: ["ardern_2018.jpg", "macron_2025.jpg"], share: 0.3 },
      { photos: ["person_1.png"] },
    ]);
  });

  test("what cannot be mixed is refused", async () => {
    const code = async (...flags: string[]) => (await here.refused(...flags)).code;
    expect(await code(...V1, "--mix", OTHER)).toBe("mix/nobody");
    expect(await code(...V1, "--id-image", PERSON, "--mix", `${OTHER}:0.6`, `${MACRON}:0.5`)).toBe("mix/shares");
    expect(await code(...V1, "--id-image", PERSON, "--mix", `${OTHER}:1.5`)).toBe("mix/out-of-range");
    const config = await here.write("bad.json", JSON.stringify({ prompt: "a man img", idImage: PERSON, mix: [{ share: 0.3 }] }));
    expect(await code("--config", config, ...V1)).toBe("mix/not-one-person");
  });
});

test("--likeness is in the JSON, in the settings, and told", async () => {
  const { settings, path } = await here.drawn(...V1, "--id-image", ARDERN, "--likeness");
  expect(settings.idLikeness).toEqual({ similarity: null, photos: [], recogniser: "dlib", same: 0.92, facesChosenBy: "dlib" });
  const said = await here.run(
    ...["generate", "--model", here.model, ...V1, "--id-image", ARDERN, "--likeness", "--width", "64", "--height", "64"],
    ...["--steps", "2", "--seed", "1", "--prompt", "a man img", "--out", here.path("said.png")],
  );
  expect(said.err).toContain("Likeness: no face to compare in the picture");
  expect(await picturePixels(here.path("said.png"))).toEqual(await picturePixels(path));
});
