import { UserError } from "../core/errors.ts";

/** Device that models run on. */
export type Device = "cpu" | "webgpu" | "cuda";
export type Gpu = Exclude<Device, "cpu">;

const REMEDY: Record<Gpu, string> = {
  webgpu:
    "It needs a graphics card with its driver: on Linux one for Vulkan, and Vulkan's loader (Debian and Ubuntu: " +
    "apt install libvulkan1 mesa-vulkan-drivers, or NVIDIA's own driver). --device cpu runs on the processor.",
  cuda:
    "It needs an NVIDIA card and driver, CUDA 12 and cuDNN 9, and ONNX Runtime's CUDA provider, which this adds on 64-bit Linux: " +
    "node node_modules/onnxruntime-node/script/install --onnxruntime-node-install=cuda12. --device cpu runs on the processor.",
};

/** Error for a device on which nothing can run. @param cause ONNX Runtime's message */
export const deviceUnavailable = (device: Gpu, cause: string): UserError =>
  new UserError("device/unavailable", `The device ${device} cannot be used: ${withoutSourceLocation(cause)}`, REMEDY[device]);

/** Error for a run that failed on a device, which may be lost with everything on it. */
export const deviceFailed = (device: Gpu, cause: string): UserError =>
  new UserError(
    "device/failed",
    `The models failed on the device ${device}: ${withoutSourceLocation(cause)}`,
    "Try again: the next request loads the models again. If it fails each time, ask for smaller pictures or fewer at once " +
      "(its memory may be too small), or take --device cpu.",
  );

/** ONNX Runtime's message without the file, line, function and failed condition that come before it. */
export function withoutSourceLocation(message: string): string {
  const text = message.trim().replace(/^\/\S+:\d+ .*? was false\. /s, "");
  return text.endsWith(".") ? text : `${text}.`;
}
