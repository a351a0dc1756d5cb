import type { Notice } from "../../core/notice.ts";
import type { MixEntry } from "../terminal/flag-values.ts";
import { photoFiles } from "./photo-files.ts";

interface MixedPerson {
  photos: string[];
  person?: string;
  share?: number;
}

/**
 * Joins the photos of `--mix` to people: a person ends with a photo that has a share, or with a person's file. Folders and patterns are expanded.
 * @param given entries of flags; what a config file gives as people stays as it is
 * @throws UserError those of photoFiles
 */
export async function mixedPeople(given: unknown, tell: (notices: readonly Notice[]) => void): Promise<unknown> {
  if (!Array.isArray(given)) return given;
  const people: unknown[] = [];
  let open: MixedPerson | undefined;
  for (const entry of given as unknown[]) {
    if (!isEntry(entry)) {
      open = undefined;
      people.push(entry);
      continue;
    }
    const { joins: _, photos = [], person, share } = entry;
    if (open === undefined || person !== undefined) {
      open = { photos: [] };
      people.push(open);
    }
    open.photos.push(...photos);
    if (person !== undefined) open.person = person;
    if (share !== undefined) open.share = share;
    if (person !== undefined || share !== undefined) open = undefined;
  }
  for (const each of people as MixedPerson[]) {
    if (!Array.isArray(each?.photos) || !each.photos.every((photo) => typeof photo === "string" && photo !== "")) continue;
    const { paths, notices } = await photoFiles(each.photos);
    each.photos = [...paths];
    tell(notices);
  }
  return people;
}

const isEntry = (value: unknown): value is MixEntry => typeof value === "object" && value !== null && "joins" in value;
