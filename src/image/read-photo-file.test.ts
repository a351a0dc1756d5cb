import { stat } from "node:fs/promises";
import { expect, test, vi } from "vitest";
import { readPhotoFile } from "./read-photo-file.ts";

vi.mock("node:fs/promises", async (original) => ({ ...(await original<object>()), stat: vi.fn() }));

test.each([
  ["EACCES", "photo/denied"],
  ["EPERM", "photo/denied"],
  ["EIO", "photo/unreadable"],
  ["ENOTDIR", "photo/missing"],
])("%s is told as %s", async (system, code) => {
  vi.mocked(stat).mockRejectedValueOnce(Object.assign(new Error(system), { code: system }));
  await expect(readPhotoFile("a.jpg", 1e6)).rejects.toMatchObject({ name: "UserError", code, cause: { code: system } });
});
