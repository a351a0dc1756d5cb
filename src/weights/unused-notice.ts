import type { Notice } from "../core/notice.ts";

/** The notice that names tensors which nothing uses; none if there are none. @param where the file or the component */
export function unusedNotice(where: string, names: readonly string[]): Notice[] {
  if (names.length === 0) return [];
  const are = names.length === 1 ? "1 tensor is" : `${names.length} tensors are`;
  const some = names.slice(0, 3).join(", ") + (names.length > 3 ? ", …" : "");
  return [{ code: "model/unknown-names", message: `${where}: ${are} not used: ${some}.` }];
}
