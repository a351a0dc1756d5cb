import { UserError } from "../../core/errors.ts";
import { rewriteNamed } from "../../graph/rewrite.ts";
import { tokenDownsamplingRule as rule } from "../../models/token-downsampling.ts";
import { hasAttention, type UNetConfig } from "../../models/unet.ts";
import type { SettledRequest } from "../settle.ts";
import type { UNetExtension } from "./extension.ts";

/** Keys and values of self-attention from fewer pixels, see the model's rule: nothing but a change of the graph, and with a factor of 1 none. */
export function tokenDownsampling(request: Pick<SettledRequest, "tokenDownsampling">): UNetExtension | undefined {
  const { tokenDownsampling: factor } = request;
  if (factor === undefined) return undefined;
  return {
    name: "token-downsampling",
    ...(factor > 1 && { key: `token-downsampling:${factor}`, rewrite: (outputs) => rewriteNamed(outputs, rule(factor)) }),
    check: ({ config }) => checkTokenDownsampling(request, config),
    start: () => ({}),
  };
}

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
