import type { FacesReport } from "../../contract/faces.ts";
import type { Person } from "../../contract/person.ts";
import { facesReport, lookAtPhotos } from "../../faces/look-at-photos.ts";
import { type Encoders, unloadFaces } from "./encode.ts";
import { namedPhoto } from "./person-photos.ts";
import { openPhoto } from "./photos.ts";

/**
 * Looks at photos: every face, who is the same person in which photo, and whose face would be taken.
 * @throws UserError those of openPhoto, face/no-such-index, face/not-at-point
 */
export async function look(
  { faces: tools, cache, unloadAfterUse }: Pick<Encoders, "faces" | "cache" | "unloadAfterUse">,
  { photos, face }: Pick<Person, "photos" | "face">,
  signal?: AbortSignal,
): Promise<FacesReport> {
  if (tools === undefined) throw new TypeError("nothing that looks at photos is opened");
  try {
    const given = await Promise.all(photos.map((photo, i) => namedPhoto(photo, i, face)));
    const read = given.map(({ name, source, wish }) => ({ name, wish, read: async () => (await openPhoto(source)).upright }));
    return facesReport(await lookAtPhotos(read, tools.networks, { same: tools.same, signal, cache }));
  } finally {
    if (unloadAfterUse) await unloadFaces(tools);
  }
}
