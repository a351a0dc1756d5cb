/** A module's path in one layout and in another: `["time_embed.0", "time_embedding.linear_1"]`. */
export type PathPair = readonly [from: string, to: string];

/**
 * `name` with its longest leading path that is in `pairs` replaced, or undefined if none is.
 * Only whole segments count: `out.0` is not a leading path of `out.01`.
 */
export function rename(name: string, pairs: ReadonlyMap<string, string>): string | undefined {
  for (let end = name.length; end > 0; end = name.lastIndexOf(".", end - 1)) {
    const to = pairs.get(name.slice(0, end));
    if (to !== undefined) return to + name.slice(end);
  }
  return undefined;
}
