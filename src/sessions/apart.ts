import type { Device } from "../runtime/device.ts";

/** Numbers in the UNet from which it takes seconds to load. */
const SLOW_TO_LOAD = 3e8;

/**
 * Whether encoders are to run in a process of their own, so that the UNet is loaded while they encode. ONNX Runtime loads a model on one
 * thread, and a process does nothing else meanwhile.
 * @param unet numbers in it
 * @param staying bytes that all models take together
 * @param available bytes
 */
export const runsApart = (device: Device, unet: number, staying: number, available: number): boolean =>
  device === "cpu" && unet >= SLOW_TO_LOAD && staying <= available;
