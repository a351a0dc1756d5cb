import type { Rule } from "./rewrite.ts";
import { sliceTrained } from "./sliced-linear.ts";
import { splitUpsampling } from "./split-upsampling.ts";

/** The form of a graph that is cheaper where its gradients are wanted as well. */
export const trainingForm: Rule = (t) => splitUpsampling(t) ?? sliceTrained(t);
