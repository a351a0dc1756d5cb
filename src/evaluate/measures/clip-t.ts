import { cosineOf } from "./vectors.ts";

/**
 * CLIP-T: 100 x cosine of the features of a picture and of its prompt without the trigger word. DreamBooth (arXiv 2208.12242), section 4.1; PhotoMaker (arXiv
 * 2312.04461), section 5.1. It is not the CLIPScore of torchmetrics, which is cut at 0, nor the first one (arXiv 2104.08718), which is 2.5 times as large.
 */
export const clipT = (picture: ArrayLike<number>, text: ArrayLike<number>): number => 100 * cosineOf(picture, text);
