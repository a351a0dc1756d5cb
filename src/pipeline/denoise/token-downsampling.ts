import { UserError } from "../../core/errors.ts";
import { hasAttention, type UNetConfig } from "../../models/unet.ts";
import type { SettledRequest } from "../settle.ts";

/** @throws UserError token-downsampling/no-attention */
export function checkTokenDownsampling(
  { tokenDownsampling }: Pick<SettledRequest, "tokenDownsampling">,
  config: UNetConfig,
): void {
  if (tokenDownsampling === undefined || hasAttention(config)) return;
  throw new UserError(
    "token-downsampling/no-attention",
    "Token downsampling is asked for, and this model's UNet has no attention.",
    "Leave token downsampling out.",
  );
}
