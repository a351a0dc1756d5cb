import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { expect, test, vi } from "vitest";
import { settingsPath } from "./user-settings.ts";

test.each([
  ["linux", { XDG_CONFIG_HOME: "/xdg" }, join("/xdg", "photomaker", "settings.json")],
  ["linux", { XDG_CONFIG_HOME: "relative" }, join(homedir(), ".config", "photomaker", "settings.json")],
  ["linux", { XDG_CONFIG_HOME: "" }, join(homedir(), ".config", "photomaker", "settings.json")],
  ["darwin", { XDG_CONFIG_HOME: "/xdg" }, join(homedir(), "Library", "Application Support", "photomaker", "settings.json")],
  ["win32", { APPDATA: "/roaming" }, join("/roaming", "photomaker", "settings.json")],
  ["win32", {}, join(homedir(), "AppData", "Roaming", "photomaker", "settings.json")],
  ["linux", { PHOTOMAKER_CONFIG: "mine.json", XDG_CONFIG_HOME: "/xdg" }, resolve("mine.json")],
])("on %s with %j the settings are %s", (platform, env, path) => {
  vi.stubGlobal("process", { ...process, platform, cwd: process.cwd });
  try {
    expect(settingsPath(env)).toBe(path);
  } finally {
    vi.unstubAllGlobals();
  }
});
