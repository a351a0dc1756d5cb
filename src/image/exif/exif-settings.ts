import type { PngSettings } from "../png-settings.ts";
import { ASCII, type ExifTag, readTags, TAG, UNDEFINED, writeTags } from "./tiff-tags.ts";
import { textOfUserComment, userComment, utf8 } from "./user-comment.ts";

/** Begins the MakerNote, the tag for what only the maker's own programs understand. */
const OURS = "photomaker\0";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** EXIF with how a picture was made: the text that other programs read in UserComment, as A1111 has it, and JSON in MakerNote. */
export function exifOf({ parameters, settings }: PngSettings): Uint8Array {
  const tags: ExifTag[] = [{ tag: TAG.exifVersion, type: UNDEFINED, data: encode("0232") }];
  if (parameters !== undefined) tags.push({ tag: TAG.userComment, type: UNDEFINED, data: userComment(parameters) });
  if (settings !== undefined)
    tags.push({ tag: TAG.makerNote, type: UNDEFINED, data: encode(`${OURS}${JSON.stringify(settings)}`) });
  return writeTags([{ tag: TAG.software, type: ASCII, data: encode("photomaker\0") }], tags);
}

/** What programs wrote into EXIF, by the keywords that they use in a PNG; `photomaker` is ours. */
export function textsOfExif(exif: Uint8Array): Record<string, string> {
  const { littleEndian, tags } = readTags(exif);
  const texts: Record<string, string> = {};
  for (const { tag, data } of tags) {
    if (tag === TAG.userComment) {
      const text = textOfUserComment(data, littleEndian);
      if (text.trim() !== "") texts.parameters = text;
    } else if (tag === TAG.makerNote && utf8(data.subarray(0, OURS.length)) === OURS)
      texts.photomaker = utf8(data.subarray(OURS.length));
    else if (tag >= TAG.make - MOST_BELOW && tag <= TAG.model) {
      // ComfyUI's WebP: "prompt:{…}" in Model, "workflow:{…}" and others in Make and the tags below
      const [, keyword, text] = /^(prompt|workflow):([\s\S]*?)\0*$/i.exec(utf8(data)) ?? [];
      if (keyword !== undefined) texts[keyword.toLowerCase()] = text!;
    }
  }
  return texts;
}

/** How many tags below Make are looked at. */
const MOST_BELOW = 8;
