import type { ImageEvent, Likeness } from "../../contract/events.ts";
import type { LoadOptions } from "../../contract/request.ts";
import type { Seed } from "../../contract/seed.ts";
import { encodePng, type Rgb8 } from "../../image/index.ts";
import { samplerLabel } from "../../samplers/sampler-labels.ts";
import type { LoadObserver } from "../../sessions/lazy-session.ts";
import type { ChosenTexts } from "../encode/choose-texts.ts";
import type { UsedFace } from "../encode/person-photos.ts";
import { settingsJson, settingsText } from "../settings.ts";
import type { SettledRequest } from "../settle.ts";
import { type Decoders, decodeLatents, decoderOf } from "./decode.ts";
import type { Plane } from "./tiles.ts";

/** Data of a drawn picture that go into its PNG. */
export interface Drawn {
  readonly request: SettledRequest;
  readonly seed: Seed;
  /** What wildcards in its texts became. */
  readonly chosen?: ChosenTexts | undefined;
  /** What was taken of the photos, where that is more than the photos as they are. */
  readonly faces?: readonly UsedFace[] | undefined;
  /** 0-based among the pictures of its request. */
  readonly index: number;
  readonly width: number; // pixels
  readonly height: number;
  readonly mergeStep: number | undefined;
  /** Says how similar the picture is to the photos. */
  readonly judge?: ((picture: Rgb8) => Promise<Likeness>) | undefined;
  /** Puts it into the picture that it started from, if that is wished. */
  readonly paste?: ((drawn: Rgb8) => Rgb8) | undefined;
}

/**
 * Decodes a picture from its latents and encodes it as a PNG with its settings.
 * @throws UserError output/nan
 */
export async function decodePicture(
  decoders: Decoders & { readonly options: LoadOptions; readonly scheduler: unknown },
  { request, seed, chosen, faces, index, width, height, mergeStep, judge, paste }: Drawn,
  latents: Plane,
  observer: LoadObserver,
): Promise<ImageEvent> {
  const decoded = await decodeLatents(decoderOf(decoders, request), latents, observer);
  const picture = paste === undefined ? decoded : paste(decoded);
  const likeness = await judge?.(picture);
  const made = {
    request: { ...request, width, height, seed },
    load: decoders.options,
    chosen,
    faces,
    likeness,
    index,
    sampler: samplerLabel(request.scheduler, decoders.scheduler),
    mergeStep,
  };
  const settings = settingsJson(made);
  const png = await encodePng(picture, { parameters: settingsText(made), settings });
  return {
    type: "image",
    index,
    png,
    width: picture.width,
    height: picture.height,
    seed,
    settings,
    ...(likeness && { likeness }),
  };
}
