/** Predictions that a user can name: of the noise, of velocity, of CosXL, and of Playground 2.5. */
export const PREDICTIONS = ["epsilon", "v", "edm-v", "edm"] as const;
export type PredictionName = (typeof PREDICTIONS)[number];
