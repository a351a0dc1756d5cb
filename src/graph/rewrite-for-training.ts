import type { Rule } from "./rewrite.ts";
import { sliceTrained } from "./sliced-linear.ts";
import { splitUpsampling } from "./split-upsampling.ts";

/** Rewrites a graph into the form that is cheaper when its gradients are computed as well. */
export const rewriteForTraining: Rule = (t) => splitUpsampling(t) ?? sliceTrained(t);
