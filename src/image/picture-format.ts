/** Formats in which pictures are written. */
export const PICTURE_FORMATS = ["png", "jpeg", "webp"] as const;
export type PictureFormat = (typeof PICTURE_FORMATS)[number];

/** Quality at which JPEG and WebP are hard to tell from the PNG. */
export const DEFAULT_QUALITY = 90;
/** Most pixels along a side of a WebP. */
export const MOST_WEBP_SIDE = 16383;
