import { UserError } from "../core/errors.ts";
import type { UNetConfig } from "../models/unet.ts";
import type { SettledRequest } from "./settle.ts";

/** @throws UserError token-downsampling/no-attention */
export function checkTokenDownsampling(
  { tokenDownsampling }: Pick<SettledRequest, "tokenDownsampling">,
  { depth, midDepth, upDepth }: UNetConfig,
): void {
  if (tokenDownsampling === undefined || [...depth, midDepth, ...upDepth].some((blocks) => blocks > 0)) return;
  throw new UserError(
    "token-downsampling/no-attention",
    "Token downsampling is asked for, and this model's UNet has no attention.",
    "Leave token downsampling out.",
  );
}
