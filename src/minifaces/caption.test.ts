import { expect, test } from "vitest";
import { seededRandom } from "../core/random/seeded-random.ts";
import {
  caption,
  captionOf,
  classWordAt,
  hairColourWord,
  IDENTITY_CLASSES,
  personAt,
  sceneAt,
  skinWord,
  VOCABULARY,
} from "./index.ts";

const COUNT = 4000;
const COLOURS = IDENTITY_CLASSES.hairColour.join("|");
const captions = (identity: number) =>
  Array.from({ length: COUNT }, (_, i) => {
    const [person, scene] = [personAt(6, i), sceneAt(6, i, 0, "free")];
    return { person, scene, caption: captionOf(person, scene, seededRandom(6, i), { identity }) };
  });
const [plain, half, rich] = [captions(0), captions(0.5), captions(1)];

test("captions use the words of the vocabulary, all of them, and fit 77 tokens", () => {
  const used = new Set([...plain, ...half, ...rich].flatMap(({ caption }) => caption.split(" ")));
  expect([...used].sort()).toEqual(VOCABULARY);
  expect(VOCABULARY.length).toBeLessThanOrEqual(180);
  for (const word of VOCABULARY) expect(word).toMatch(/^([a-z]+|,)$/);
  expect(Math.max(...rich.map(({ caption }) => caption.split(" ").length))).toBeLessThanOrEqual(75);
});

test("captions describe the scene", () => {
  for (const { person, scene, caption } of plain) {
    const other = { man: ["woman"], woman: [], boy: [], girl: [] };
    expect(caption).toMatch(new RegExp(`\\b${classWordAt(person, scene)}\\b`));
    for (const word of Object.keys(other))
      if (word !== classWordAt(person, scene)) expect(caption.split(" ")).not.toContain(word);
    expect(caption.split(" ").includes("old")).toBe(scene.age === "old");
    for (const style of ["comic", "sketch", "watercolor"]) expect(caption.includes(style)).toBe(scene.style === style);
    const clothes = /\b(\w+) (shirt|suit|hoodie|sweater|dress)\b/.exec(caption);
    if (clothes) expect([clothes[1], clothes[2]]).toEqual([scene.clothesColour, scene.clothesType]);
    const place = /\b(beach|forest|city|snow|desert|space|planet|library|field|background)\b/.exec(caption)?.[1];
    if (place) expect({ planet: "space", background: "plain" }[place] ?? place).toBe(scene.background);
    const worn = /\b(hat|glasses|sunglasses|headphones|crown|scarf)\b/.exec(caption)?.[1];
    expect(worn ?? "none").toBe(scene.accessory);
    expect(caption).not.toMatch(/\b(eyes|hair|skin|face|beard|nose|lips|freckles|mole)\b/);
    expect(caption).not.toMatch(/\ba [aeiou]|\ban [^aeiou]/);
  }
  const share = (word: RegExp) => plain.filter(({ caption }) => word.test(caption)).length / COUNT;
  expect(share(/shirt|suit|hoodie|sweater|dress/)).toBeCloseTo(0.88, 1);
});

test("a caption lists the parts it mentions", () => {
  const words = {
    style: / of /,
    background: /\b(beach|forest|city|snow|desert|space|planet|library|field|background)\b/,
    clothesColour: /\b(shirt|suit|hoodie|sweater|dress)\b/,
    clothesType: /\b(shirt|suit|hoodie|sweater|dress)\b/,
    accessory: /\b(hat|glasses|sunglasses|headphones|crown|scarf)\b/,
    expression: /\b(smiling|surprised|sad|angry)\b/,
    framing: /\b(closeup|afar)\b/,
  };
  for (let i = 0; i < COUNT; i++) {
    const [person, scene] = [personAt(6, i), sceneAt(6, i, 0, "free")];
    const { text, says } = caption(person, scene, seededRandom(6, i), { identity: 0 });
    expect(text).toBe(plain[i]!.caption);
    expect([...says].sort(), text).toEqual(
      Object.entries(words)
        .flatMap(([part, pattern]) => (pattern.test(text) ? [part] : []))
        .sort(),
    );
  }
});

test("captions that describe the person are true", () => {
  for (const { person, scene, caption } of rich) {
    const words = caption.split(" ");
    expect(caption).toMatch(new RegExp(`\\b${person.eyeColour} eyes\\b`));
    expect(caption).toContain(`${skinWord(person)} skin`);
    expect(words.includes("freckles")).toBe(person.freckles);
    expect(words.includes("mole")).toBe(person.mole !== "none");
    const hair = new RegExp(`\\b(${COLOURS}) (hair|afro|bob|bun|ponytail|pigtails|mohawk)\\b`).exec(caption)?.[1];
    if (hair !== undefined) expect(hair).toBe(hairColourWord(person, scene));
    else expect(caption).toContain("bald head");
    const bearded = /\b(stubble|moustache|goatee|beard)\b/.test(caption);
    expect(bearded).toBe(person.beard !== "none" && scene.age !== "child");
    expect(caption).not.toMatch(/\ba [aeiou]|\ban [^aeiou]/);
    for (const [name, low, high] of [
      ["noseWidth", "small nose", "big nose"],
      ["lipThickness", "thin lips", "full lips"],
    ] as const) {
      expect(caption.includes(high)).toBe(person.numbers[name] > 0.4);
      expect(caption.includes(low)).toBe(person.numbers[name] < -0.4);
    }
  }
});

test("each trait is mentioned with the given probability", () => {
  const share = half.filter(({ caption }) => / skin\b/.test(caption)).length / COUNT;
  expect(Math.abs(share - 0.5)).toBeLessThan(0.04);
});
