import type { Device } from "../runtime/device.ts";

/** Parameters of a UNet that takes seconds to load. */
const SLOW_TO_LOAD = 3e8;

/**
 * Decides whether encoders run in a process of their own, so that the UNet is loaded while they encode. ONNX Runtime loads a model on one
 * thread and blocks the process meanwhile.
 * @param unet parameters of the UNet
 * @param staying bytes that all models take together
 * @param available bytes of available memory
 */
export const runsApart = (device: Device, unet: number, staying: number, available: number): boolean =>
  device === "cpu" && unet >= SLOW_TO_LOAD && staying <= available;
