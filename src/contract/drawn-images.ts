/** How many pictures a request draws: all that it would make at once, or the one of them that is wanted. */
export const drawnImages = (request: { readonly numImagesPerPrompt: number; readonly onlyImage?: number | undefined }): number =>
  request.onlyImage === undefined ? request.numImagesPerPrompt : 1;
