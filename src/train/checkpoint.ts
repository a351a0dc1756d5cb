import { UserError } from "../core/errors.ts";
import type { TrainingState } from "../runtime/node/training/parallel-steps.ts";
import type { Parameter } from "../runtime/node/training/parameter.ts";
import { openTensors, readFloats, type TensorToWrite, writeSafetensors } from "../weights/index.ts";
import { exists } from "../weights/read-json.node.ts";

/** Values that must be unchanged for a run to resume. */
export type RunConfig = Readonly<Record<string, string | number | boolean>>;

/** Measurements since the last line of metrics.jsonl. */
export interface RecentSums {
  readonly sums: Readonly<Record<string, number>>;
  readonly count: number;
}

/** Progress of a run. */
export interface RunProgress {
  /** Updates done. */
  readonly step: number;
  readonly recent: RecentSums;
  /** Duration so far, over all resumptions. */
  readonly seconds: number;
}

const PARTS = ["params", "m", "v", "ema"] as const;

/**
 * Writes everything a run needs to resume, atomically: an earlier checkpoint stays until this one is complete.
 * @throws UserError disk/full and others of writeSafetensors
 */
export async function writeCheckpoint(
  path: string,
  state: TrainingState,
  parameters: readonly Parameter[],
  { config, ...progress }: RunProgress & { readonly config: RunConfig },
): Promise<void> {
  const tensors: TensorToWrite[] = PARTS.flatMap((part) => {
    const values = state[part];
    if (values === undefined) return [];
    return parameters.map(({ name, dims, offset, length }) => ({
      name: `${part}/${name}`,
      dtype: "F32" as const,
      shape: dims,
      data: async () => values.slice(offset, offset + length),
    }));
  });
  await writeSafetensors(path, tensors, { progress: JSON.stringify(progress), config: JSON.stringify(config) });
}

/**
 * Fills `state` from a checkpoint.
 * @returns the run's progress; undefined if there is no checkpoint, and then nothing is changed
 * @throws UserError train/other-config, train/checkpoint, and those of openTensors
 */
export async function readCheckpoint(
  path: string,
  state: TrainingState,
  parameters: readonly Parameter[],
  config: RunConfig,
): Promise<RunProgress | undefined> {
  if (!(await exists(path))) return undefined;
  const { tensors, metadata } = await openTensors(path);
  const stored = JSON.parse(metadata?.config ?? "{}") as RunConfig;
  const differing = [...new Set([...Object.keys(stored), ...Object.keys(config)])].filter((key) => stored[key] !== config[key]);
  if (differing.length > 0)
    throw new UserError(
      "train/other-config",
      `${path} belongs to a run with another config: ${differing.map((key) => `${key} was ${stored[key]} and is ${config[key]}`).join("; ")}.`,
      "To resume that run, use its config; to start a new one, choose another folder with --out.",
    );
  for (const part of PARTS) {
    const values = state[part];
    if (values === undefined) continue;
    for (const { name, dims, offset } of parameters) {
      const entry = tensors.get(`${part}/${name}`);
      if (entry === undefined || String(entry.shape) !== String(dims))
        throw new UserError(
          "train/checkpoint",
          `${path} has no ${part}/${name} of shape [${dims}].`,
          "It belongs to another model or to another version of photomaker. To start anew, choose another folder with --out.",
        );
      values.set(await readFloats(entry), offset);
    }
  }
  // older checkpoints have the step only
  return metadata?.progress === undefined
    ? { step: Number(metadata?.step), recent: { sums: {}, count: 0 }, seconds: 0 }
    : (JSON.parse(metadata.progress) as RunProgress);
}
