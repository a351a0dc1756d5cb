import { UserError } from "../core/errors.ts";
import { gigabytes } from "../core/gigabytes.ts";
import { liveBytes } from "../graph/live.ts";
import { widenedParamOp } from "../graph/ops/after.ts";
import { paramOp } from "../graph/ops/source.ts";
import { inOrder } from "../graph/rewrite.ts";
import { is, type Tensor } from "../graph/tensor.ts";
import { byteLength, elementCount } from "../weights/index.ts";

/** Memory that training needs, in bytes: an estimate, made before anything is loaded. */
export interface TrainingMemory {
  /** Trained weights, the optimiser's moments, gradients, and each worker's copies. */
  readonly trained: number;
  /** Frozen weights that are read in place. They are mapped, so they need not all be in memory, but each step reads all of them. */
  readonly mapped: number;
  /** Frozen weights that are kept in float32. */
  readonly widened: number;
  /** Most live values of the graph at once, all workers together. */
  readonly values: number;
  /** The least that must be free, mapped weights not counted. */
  readonly least: number;
}

export interface MemoryOptions {
  /** Trained parameters. */
  readonly size: number;
  readonly ema: boolean;
  readonly workers: number;
  /** Batches of each worker per update. */
  readonly accumulate: number;
}

/** The program itself and the graph, bytes. */
const PROGRAM = 0.6e9;
/** Bytes that the allocator takes per byte requested, gaps included: measured on SDXL. */
const SPREAD = 1.6;

/** Copies in the state: weights and AdamW's two moments. */
const STATE = 3;
/** Copies per worker: weights, and gradients of one batch. */
const WORKER = 2;

export function trainingMemory(outputs: readonly Tensor[], { size, ema, workers, accumulate }: MemoryOptions): TrainingMemory {
  const summed = workers > 1 || accumulate > 1 ? workers : 0; // sums of gradients beside those of one batch
  const mapped = new Map<unknown, number>();
  const widened = new Map<unknown, number>();
  for (const t of inOrder(outputs)) {
    if (is(t, widenedParamOp)) mapped.set(t.attrs.entry, byteLength(t.attrs.entry));
    else if (is(t, paramOp)) widened.set(t.attrs.entry, 4 * elementCount(t.attrs.entry.shape));
  }
  const sum = (bytes: ReadonlyMap<unknown, number>): number => [...bytes.values()].reduce((a, b) => a + b, 0);
  const trained = 4 * size * (STATE + (ema ? 1 : 0) + WORKER * workers + summed);
  const kept = sum(widened) * workers;
  const values = liveBytes(outputs) * workers;
  return { trained, mapped: sum(mapped), widened: kept, values, least: (trained + kept + values) * SPREAD + PROGRAM };
}

/**
 * @param available bytes
 * @throws UserError train/memory
 */
export function requireMemory(memory: TrainingMemory, available: number): void {
  const { least, trained, widened, values } = memory;
  if (least <= available) return;
  throw new UserError(
    "train/memory",
    `Training needs about ${gigabytes(least)} of memory, but only ${gigabytes(available)} are free: ${gigabytes(trained)} for trained weights and the optimiser, ${gigabytes(widened)} for frozen weights in float32, ${gigabytes(values)} for values of the graph.`,
    "Close other programs, use one worker (--workers 1), a lower resolution or batch, or train less of the model (loraRank, visionLayers).",
  );
}

/** Formats bytes, such as "12.3 GB". */
