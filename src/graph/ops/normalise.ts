import { apply, fixedSize, type Op, shapeText, type Tensor } from "../tensor.ts";

const scaled = (name: string, axis: number) => (inputs: readonly Tensor[]) => {
  const [x, weight, bias] = inputs as [Tensor, Tensor, Tensor];
  const channels = fixedSize(x, axis);
  for (const t of [weight, bias])
    if (t.shape.length !== 1 || t.shape[0] !== channels)
      throw new TypeError(`${name}: ${shapeText(t.shape)} does not scale ${shapeText(x.shape)}`);
  return x.shape;
};

/** Ba et al. 2016 (arXiv 1607.06450), over the last axis. */
export const layerNormOp: Op<{ eps: number }> = { name: "layerNorm", shape: scaled("layerNorm", -1) };
export const layerNorm = (x: Tensor, weight: Tensor, bias: Tensor, eps: number): Tensor =>
  apply(layerNormOp, [x, weight, bias], { eps });

const groupShape = scaled("groupNorm", 1);
/** Wu and He 2018 (arXiv 1803.08494): x [B, C, …] is normalised in groups of neighbouring channels. */
export const groupNormOp: Op<{ groups: number; eps: number }> = {
  name: "groupNorm",
  shape: (inputs, { groups }) => {
    const channels = fixedSize(inputs[0]!, 1);
    if (channels % groups !== 0) throw new TypeError(`groupNorm: ${channels} channels in ${groups} groups`);
    return groupShape(inputs);
  },
};
export const groupNorm = (x: Tensor, weight: Tensor, bias: Tensor, groups: number, eps: number): Tensor =>
  apply(groupNormOp, [x, weight, bias], { groups, eps });

export const softmaxOp: Op = { name: "softmax", shape: ([x]) => x!.shape };
/** Over the last axis. */
export const softmax = (x: Tensor): Tensor => apply(softmaxOp, [x], {});
