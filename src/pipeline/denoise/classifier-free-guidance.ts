/**
 * Classifier-free guidance: Ho and Salimans 2022 (arXiv 2207.12598), equation 6, in the form of Imagen.
 * @param withoutText what the model says to the negative prompt
 * @param withText what it says to the prompt
 */
export function guide(withoutText: Float32Array, withText: Float32Array, scale: number): Float32Array {
  return withText.map((text, i) => withoutText[i]! + scale * (text - withoutText[i]!));
}

/**
 * Takes back the contrast that guidance adds: Lin et al. 2023 (arXiv 2305.08891), section 3.4, equations 15 and 16.
 * Each picture is rescaled by its own standard deviation.
 * @param guided [images, …]
 * @param share 0 leaves all as it is, 1 gives every picture the deviation of `withText`
 */
export function rescale(guided: Float32Array, withText: Float32Array, images: number, share: number): Float32Array {
  const length = guided.length / images;
  const out = new Float32Array(guided.length);
  for (let image = 0; image < images; image++) {
    const [from, to] = [image * length, (image + 1) * length];
    const ratio = deviation(withText.subarray(from, to)) / deviation(guided.subarray(from, to));
    const factor = share * ratio + (1 - share);
    for (let i = from; i < to; i++) out[i] = guided[i]! * factor;
  }
  return out;
}

function deviation(x: Float32Array): number {
  let sum = 0;
  for (const v of x) sum += v;
  const mean = sum / x.length;
  let squares = 0;
  for (const v of x) squares += (v - mean) ** 2;
  return Math.sqrt(squares / (x.length - 1));
}
