import type { Notice } from "../../core/notice.ts";

/** What the official demo starts with. */
export const DEFAULT_STYLE_STRENGTH = 20;

/** Up to so many steps, the demo's rule would leave the identity less than it should: none of 1 step, 3 of 5. */
const FEW_STEPS = 8;

/**
 * The last evaluation that is made without the identity, counted from 0; -1 has it from the first one on.
 * A style strength in percent is turned into a step as the official demo does.
 * Where nothing is given and steps are few, the identity is left out of that share of them, rounded: 1 of 4, 2 of 8, none of 1 or 2.
 * @see TencentARC/PhotoMaker 060b4fc gradio_demo/app.py generate_image
 */
export function mergeStepOf(request: {
  readonly startMergeStep?: number | undefined;
  readonly styleStrength?: number | undefined;
  readonly numInferenceSteps: number;
}): number {
  const { startMergeStep, styleStrength, numInferenceSteps: steps } = request;
  if (startMergeStep !== undefined) return startMergeStep;
  if (styleStrength === undefined && steps <= FEW_STEPS) return Math.round((DEFAULT_STYLE_STRENGTH / 100) * steps) - 1;
  return Math.min(30, Math.floor(((styleStrength ?? DEFAULT_STYLE_STRENGTH) / 100) * steps));
}

/**
 * Says when the identity comes in where steps are few and nothing was given, and when it never comes in.
 * @param total evaluations in all
 * @param from the first of them that is made, where a picture starts from another; merge steps count from 0 all the same
 */
export function mergeStepNotices(request: Parameters<typeof mergeStepOf>[0], total: number, from = 0): Notice[] {
  const without = Math.min(total, mergeStepOf(request) + 1);
  if (without === total) {
    const message = `The person never comes in: all ${total - from} steps are before the merge step. A lower --start-merge-step (startMergeStep), such as ${Math.round(total / 5) - 1}, lets them in.`;
    return [{ code: "merge-step/never", message }];
  }
  if (request.startMergeStep !== undefined || request.styleStrength !== undefined || request.numInferenceSteps > FEW_STEPS)
    return [];
  const message = `With few steps the person comes in early: ${total - Math.max(without, from)} of ${total - from} steps are with the person (start merge step ${without - 1}).`;
  return [{ code: "merge-step/few-steps", message }];
}
