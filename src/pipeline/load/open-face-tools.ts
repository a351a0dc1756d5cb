import type { LoadOptions } from "../../contract/request.ts";
import { openFaceNetworks } from "../../faces/networks/open-networks.node.ts";
import { SAME_PERSON } from "../../faces/networks/recogniser.ts";
import { openFacePack } from "../../faces/pack/open-pack.node.ts";
import type { FaceTools } from "../encode/person-photos.ts";

/**
 * Opens what looks at photos. A pack's files are checked; every network loads when it is first needed, in a process of its own.
 * @throws UserError those of openFacePack
 */
export async function openFaceTools({ faces, threads }: Pick<LoadOptions, "faces" | "threads">): Promise<FaceTools> {
  const how = threads === undefined ? {} : { threads };
  return {
    networks: openFaceNetworks(how),
    same: SAME_PERSON,
    pack: faces === undefined ? undefined : await openFacePack(faces, how),
  };
}
