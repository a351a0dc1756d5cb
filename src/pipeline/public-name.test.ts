import { expect, test } from "vitest";
import { publicName, shortName } from "./public-name.ts";

const commit = "0123456789abcdef0123456789abcdef01234567";

test.each([
  ["/home/anna/models/sdxl.safetensors", "sdxl.safetensors", "sdxl.safetensors"],
  ["C:\\Users\\Anna\\sdxl.safetensors", "sdxl.safetensors", "sdxl.safetensors"],
  ["../anna/my-model/", "my-model", "my-model"],
  ["src/pipeline", "pipeline", "pipeline"], // could be an id, and is there
  ["SG161222/RealVisXL_V4.0", "SG161222/RealVisXL_V4.0", "RealVisXL_V4.0"],
  ["org/name@v1:loras/style.safetensors", "org/name@v1:loras/style.safetensors", "style.safetensors"],
  [`/home/anna/.cache/huggingface/hub/models--org--a.name/snapshots/${commit}`, `org/a.name@${commit}`, "a.name"],
  [`/c/models--org--name/snapshots/${commit}/x/y.bin`, `org/name@${commit}:x/y.bin`, "y.bin"],
  [`C:\\hub\\models--org--name\\snapshots\\${commit}\\x\\y.bin`, `org/name@${commit}:x/y.bin`, "y.bin"],
])("%s is named %s, in short %s", (path, full, short) => {
  expect(publicName(path)).toBe(full);
  expect(shortName(path)).toBe(short);
});
