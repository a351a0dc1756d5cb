/** A template whose numbers are rounded to hundredths, finer than a thousandth of a picture's width. */
export function svg(texts: TemplateStringsArray, ...values: readonly (number | string)[]): string {
  let out = texts[0]!;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    out += (typeof value === "number" ? Math.round(value * 100) / 100 : value) + texts[i + 1]!;
  }
  return out;
}
