/** What the official demo starts with. */
export const DEFAULT_STYLE_STRENGTH = 20;

/**
 * The last evaluation that is made without the identity, counted from 0; -1 has it from the first one on.
 * A style strength in percent is turned into a step as the official demo does.
 * @see TencentARC/PhotoMaker 060b4fc gradio_demo/app.py generate_image
 */
export function mergeStepOf(request: {
  readonly startMergeStep?: number | undefined;
  readonly styleStrength?: number | undefined;
  readonly numInferenceSteps: number;
}): number {
  const { startMergeStep, styleStrength = DEFAULT_STYLE_STRENGTH, numInferenceSteps } = request;
  return startMergeStep ?? Math.min(30, Math.floor((styleStrength / 100) * numInferenceSteps));
}
