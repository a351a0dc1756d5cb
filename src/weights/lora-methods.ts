import { BIAS, FULL } from "./lora-methods/differences.ts";
import { GLORA } from "./lora-methods/glora.ts";
import { IA3 } from "./lora-methods/ia3.ts";
import { LOHA } from "./lora-methods/loha.ts";
import { LOKR } from "./lora-methods/lokr.ts";
import { LORA } from "./lora-methods/lora.ts";
import { type LoraMethod, type LoraPart, type LoraWeight, type Parts, rowsAndColumns, sameSizes } from "./lora-methods/method.ts";
import { OFT } from "./lora-methods/oft.ts";
import { PEFT_BOFT, PEFT_OFT } from "./lora-methods/peft-oft.ts";
import { elementCount } from "./tensor-entry.ts";

/** The methods by which files of LoRA's kin change weights; BIAS is for biases alone. */
export const LORA_METHODS = { LORA, LOHA, LOKR, GLORA, FULL, BIAS, IA3, OFT, PEFT_OFT, PEFT_BOFT } as const;

/** The methods that a module's roles in a file show, and their ranks. @param roles to their shapes */
export function loraMethods(
  roles: ReadonlyMap<string, readonly number[]>,
): readonly { readonly name: string; readonly rank: number | undefined }[] {
  const shapes = Object.fromEntries(roles);
  const ofWeights = Object.values(LORA_METHODS).filter(
    (method) => method !== BIAS && method.parts.some((part) => roles.has(part)) && method.missing(shapes).length === 0,
  );
  const dora = roles.has("magnitude") || roles.has("magnitude_rows");
  const found: { name: string; rank: number | undefined }[] = ofWeights.map((method) => ({
    name:
      method === OFT && roles.get("oft_blocks")!.length === 4
        ? "BOFT"
        : dora
          ? `${method.name} with magnitudes (DoRA)`
          : method.name,
    rank: method.rank?.(shapes),
  }));
  if (roles.has("ia3") && roles.has("on_input")) found.push({ name: IA3.name, rank: undefined });
  if (roles.has("diff_b") && ofWeights.length === 0) found.push({ name: FULL.name, rank: undefined });
  if (roles.has("bias")) found.push({ name: BIAS.name, rank: undefined });
  return found;
}

/** Whether a magnitude of DoRA fits: a number for each row, [out] or [out, 1 …], or for each column, [1, in, 1 …]. */
export const magnitudeFits = (magnitude: readonly number[], weight: readonly number[]): boolean =>
  sameSizes(withoutOnes(magnitude), [weight[0]!]) || (magnitude[0] === 1 && sameSizes(withoutOnes(magnitude), [weight[1]!]));

/** A shape without its sizes of 1. */
const withoutOnes = (shape: readonly number[]): number[] => {
  const kept = shape.filter((size) => size !== 1);
  return kept.length === 0 ? [1] : kept;
};

/**
 * W changed by a method with a strength s: W + s·scale·dW; with a magnitude (DoRA, Liu et al. 2024, arXiv 2402.09353)
 * W + s·(V' - W), where V = W + scale·dW and V' is V with rows, or columns, of the length that the magnitude says.
 * @param rows whether the magnitude is always one of rows, as PEFT writes it
 */
export function changeWeight(
  method: LoraMethod,
  parts: Parts,
  weight: LoraWeight,
  {
    strength,
    alpha,
    magnitude,
    rows = false,
  }: { strength: number; alpha: number | undefined; magnitude?: LoraPart; rows?: boolean },
): Float32Array {
  if (method.change !== undefined) return method.change(parts, weight, strength, alpha ?? 0);
  const shapes = Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, part?.shape]));
  const rank = method.rank?.(shapes);
  const scale = alpha === undefined || rank === undefined ? 1 : alpha / rank;
  const made = method.difference!(parts, weight);
  const { values, shape } = weight;
  if (magnitude === undefined) {
    for (let i = 0; i < made.length; i++) made[i] = values[i]! + strength * scale * made[i]!;
    return made;
  }
  for (let i = 0; i < made.length; i++) made[i] = values[i]! + scale * made[i]!;
  const [out, columns] = rowsAndColumns(shape);
  const kernel = elementCount(shape.slice(2));
  const byRow = rows || magnitude.shape.length === 1 || magnitude.shape[0] === out;
  const index = (at: number): number => (byRow ? Math.floor(at / columns) : Math.floor((at % columns) / kernel));
  const squares = new Float64Array(magnitude.values.length);
  for (let i = 0; i < made.length; i++) squares[index(i)]! += made[i]! ** 2;
  const factors = squares.map((square, i) => magnitude.values[i]! / (Math.sqrt(square) + 2 ** -23)); // as PyTorch's: never a division by 0
  for (let i = 0; i < made.length; i++) made[i] = values[i]! + strength * (made[i]! * factors[index(i)]! - values[i]!);
  return made;
}
