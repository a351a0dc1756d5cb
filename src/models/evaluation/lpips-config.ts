import { UserError } from "../../core/errors.ts";
import type { Tensors } from "../../weights/tensor-entry.ts";

/** A convolution with its ReLU, by its place in torchvision's `features`, or a max pooling of stride 2. */
type Layer =
  | { readonly at: number; readonly kernel: number; readonly stride: number; readonly pad: number; readonly tap: boolean }
  | { readonly pool: number };

export interface LpipsConfig {
  readonly net: "alex" | "vgg";
  readonly layers: readonly Layer[];
  /** Channels of each convolution, by its place. */
  readonly widths: Readonly<Record<number, number>>;
  /** Channels of each compared map. */
  readonly taps: readonly number[];
}

const three = (at: number, tap = false): Layer => ({ at, kernel: 3, stride: 1, pad: 1, tap });

const ALEX: readonly Layer[] = [
  { at: 0, kernel: 11, stride: 4, pad: 2, tap: true },
  { pool: 3 },
  { at: 3, kernel: 5, stride: 1, pad: 2, tap: true },
  { pool: 3 },
  three(6, true),
  three(8, true),
  three(10, true),
];

const VGG: readonly Layer[] = [
  three(0),
  three(2, true),
  { pool: 2 },
  three(5),
  three(7, true),
  { pool: 2 },
  three(10),
  three(12),
  three(14, true),
  { pool: 2 },
  three(17),
  three(19),
  three(21, true),
  { pool: 2 },
  three(24),
  three(26),
  three(28, true),
];

/**
 * Which network LPIPS has, and its widths, from the weights of its trunk.
 * @param tensors names of torchvision's AlexNet or VGG-16: `features.N`; its classifier may be there too
 * @throws UserError network/wrong-kind
 */
export function lpipsConfig(tensors: Tensors): LpipsConfig {
  const shapeOf = (at: number) => tensors.get(`features.${at}.weight`)?.shape;
  for (const [net, layers] of [
    ["alex", ALEX],
    ["vgg", VGG],
  ] as const) {
    const convolutions = layers.flatMap((layer) => ("at" in layer ? [layer] : []));
    const fits = convolutions.every(({ at, kernel }) => shapeOf(at)?.length === 4 && shapeOf(at)![2] === kernel);
    if (!fits) continue;
    const widths = Object.fromEntries(convolutions.map(({ at }) => [at, shapeOf(at)![0]!]));
    return { net, layers, widths, taps: convolutions.flatMap(({ at, tap }) => (tap ? [widths[at]!] : [])) };
  }
  throw new UserError(
    "network/wrong-kind",
    "These are not the weights of torchvision's AlexNet or VGG-16, which LPIPS takes.",
    "Give alexnet-owt-*.pth or vgg16-*.pth as torchvision publishes them; the package's small file of weights is given beside it.",
  );
}
