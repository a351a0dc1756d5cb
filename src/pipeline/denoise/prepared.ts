import type { Seed } from "../../contract/seed.ts";
import type { ToJudge } from "../decode/likeness.ts";
import type { ChosenTexts } from "../encode/choose-texts.ts";
import type { Texts } from "../encode/encode.ts";
import type { UsedFace } from "../encode/person-photos.ts";
import type { SettledRequest } from "../settle.ts";
import type { StartOf } from "./from-picture.ts";

/** A request ready to be drawn. */
export interface Prepared {
  readonly request: SettledRequest;
  readonly texts: Texts;
  readonly seed: Seed;
  /** The picture that it starts from. */
  readonly start?: StartOf | undefined;
  /** What wildcards in its texts became. */
  readonly chosen?: ChosenTexts | undefined;
  /** What a likeness is to. */
  readonly toJudge?: ToJudge | undefined;
  /** What was taken of the photos, where that is more than the photos as they are. */
  readonly faces?: readonly UsedFace[] | undefined;
}
