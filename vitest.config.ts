import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "bench/**/*.test.ts"],
    setupFiles: ["src/testing/setup.ts"],
    env: { ORT_DISABLE_TELEMETRY: "1" },
    // against hanging, not slowness: on a machine with other work everything takes ten times as long
    testTimeout: 300_000,
    hookTimeout: 300_000,
    maxWorkers: 2,
  },
});
