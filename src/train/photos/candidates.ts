import { readdir } from "node:fs/promises";
import { basename, extname, join, resolve } from "node:path";
import { z } from "zod";
import { messageOf, systemCode, UserError } from "../../core/errors.ts";
import { readText } from "../../core/read-text.node.ts";

/** A picture as a folder describes it, not yet checked. */
export interface Candidate {
  readonly person: string;
  readonly path: string;
  readonly mask: string | undefined;
  readonly caption: string | undefined;
  readonly classWord: string | undefined;
}

const PICTURE = /\.(jpe?g|png|webp|gif|tiff?|avif|bmp)$/i;

const indexLine = z.looseObject({
  file: z.string(),
  mask: z.string().optional(),
  person: z.union([z.string(), z.number()]),
  caption: z.string().optional(),
  classWord: z.string().optional(),
});
const captionLine = z.looseObject({ file: z.string(), caption: z.string() });
const personFile = z.looseObject({ classWord: z.string().optional() });

/**
 * Pictures of a training folder, person by person. Either `index.jsonl` lists everything, as `photomaker world render` writes it; or there is a
 * folder for each person, with pictures, captions (`photo.txt` beside `photo.jpg`, or all in `captions.jsonl`), masks (`photo_mask.png` or
 * `photo.mask.png`) and, optionally, `person.json` with the class word.
 * @throws UserError data/missing, data/not-json
 */
export async function candidates(folder: string): Promise<Candidate[]> {
  const root = resolve(folder);
  const entries = await readdir(root, { withFileTypes: true }).catch((error: unknown) => {
    throw systemCode(error) === undefined
      ? error
      : new UserError("data/missing", `The training folder ${root} cannot be read: ${messageOf(error)}.`, "Check the path.");
  });
  if (entries.some(({ name }) => name === "index.jsonl")) return fromIndex(root);
  const people = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  const found = await Promise.all(people.sort().map((name) => fromPerson(root, name)));
  return found.flat();
}

async function fromIndex(root: string): Promise<Candidate[]> {
  const lines = await jsonLines(join(root, "index.jsonl"), indexLine);
  return lines.map(({ file, mask, person, caption, classWord }) => ({
    person: String(person),
    path: join(root, file),
    mask: mask === undefined ? undefined : join(root, mask),
    caption,
    classWord,
  }));
}

async function fromPerson(root: string, person: string): Promise<Candidate[]> {
  const folder = join(root, person);
  const names = new Set(await readdir(folder));
  const captions = names.has("captions.jsonl") ? await jsonLines(join(folder, "captions.jsonl"), captionLine) : [];
  const captionOf = new Map(captions.map(({ file, caption }) => [basename(file), caption]));
  const about = names.has("person.json")
    ? parse(await readText(join(folder, "person.json")), personFile, join(folder, "person.json"))
    : {};
  const maskOf = maskNames(names, (name) => names.has(`${stemOf(name)}.txt`) || captionOf.has(name));
  const masks = new Set([...names].map(maskOf));
  const pictures = [...names].filter((name) => PICTURE.test(name) && !DOTTED_MASK.test(name) && !masks.has(name)).sort();
  return Promise.all(
    pictures.map(async (name) => {
      const stem = stemOf(name);
      const caption = names.has(`${stem}.txt`) ? await readText(join(folder, `${stem}.txt`)) : captionOf.get(name);
      const mask = maskOf(name);
      return {
        person,
        path: join(folder, name),
        mask: mask === undefined ? undefined : join(folder, mask),
        caption: caption?.trim().replace(/\s+/g, " ") || undefined,
        classWord: about.classWord,
      };
    }),
  );
}

const stemOf = (name: string): string => name.slice(0, name.length - extname(name).length);
const DOTTED_MASK = /\.mask\.png$/i;

/** Finds a picture's mask among the names of its folder. A `NAME_mask.png` with a caption of its own is a picture, not a mask. */
function maskNames(names: ReadonlySet<string>, hasCaption: (name: string) => boolean): (picture: string) => string | undefined {
  return (picture) => {
    const stem = stemOf(picture);
    if (!PICTURE.test(picture)) return undefined;
    if (names.has(`${stem}.mask.png`)) return `${stem}.mask.png`;
    return names.has(`${stem}_mask.png`) && !hasCaption(`${stem}_mask.png`) ? `${stem}_mask.png` : undefined;
  };
}

async function jsonLines<S extends z.ZodType>(path: string, schema: S): Promise<z.output<S>[]> {
  const lines = (await readText(path)).split("\n");
  return lines.flatMap((line, i) => (line.trim() === "" ? [] : [parse(line, schema, `line ${i + 1} of ${path}`)]));
}

function parse<S extends z.ZodType>(text: string, schema: S, where: string): z.output<S> {
  const refuse = (why: string, cause?: unknown) =>
    new UserError("data/not-json", `${where} cannot be used: ${why}.`, "Correct or remove it.", { cause });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw refuse(messageOf(error), error);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw refuse(`${issue.path.join(".") || "it"}: ${issue.message}`);
}
