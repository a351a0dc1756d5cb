import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { hubSettings } from "./hub-settings.ts";

test("the environment is read as the official client reads it", async () => {
  const none = await hubSettings({}, { HF_TOKEN_PATH: "/nowhere" });
  expect(none).toEqual({
    endpoint: "https://huggingface.co",
    cacheDir: join(homedir(), ".cache", "huggingface", "hub"),
    offline: false,
  });
  expect((await hubSettings({}, { XDG_CACHE_HOME: "/x" })).cacheDir).toBe("/x/huggingface/hub");
  expect((await hubSettings({}, { XDG_CACHE_HOME: "/x", HF_HOME: "~/y" })).cacheDir).toBe(join(homedir(), "y", "hub"));
  expect((await hubSettings({}, { HF_HOME: "/y", HF_HUB_CACHE: "/z" })).cacheDir).toBe("/z");
  expect((await hubSettings({ cacheDir: "/w" }, { HF_HUB_CACHE: "/z" })).cacheDir).toBe("/w");
  expect((await hubSettings({}, { HF_ENDPOINT: "http://mirror/" })).endpoint).toBe("http://mirror");
  expect((await hubSettings({}, { HF_HUB_OFFLINE: "1" })).offline).toBe(true);
  expect((await hubSettings({}, { HF_HUB_OFFLINE: "0" })).offline).toBe(false);
  await expect(hubSettings({}, { HF_ENDPOINT: "mirror" })).rejects.toMatchObject({ code: "download/bad-endpoint" });
});

test("the token comes from HF_TOKEN, else from the file of the login", async () => {
  const folder = await mkdtemp(join(tmpdir(), "token-"));
  await writeFile(join(folder, "token"), "hf_file\n");
  expect((await hubSettings({}, { HF_HOME: folder })).token).toBe("hf_file");
  expect((await hubSettings({}, { HF_HOME: folder, HF_TOKEN: "hf_env" })).token).toBe("hf_env");
  await rm(folder, { recursive: true });
});
