import { baseName, type Fields, type ForeignSettings, numberOf, Reading } from "./reading.ts";

interface Node {
  readonly class_type: string;
  readonly inputs: Fields;
}

/** Reads ComfyUI's graph: what its sampler is given, followed along the links. */
export function ofComfy(graph: Fields): ForeignSettings | undefined {
  const nodes = new Map(Object.entries(graph).filter(([, node]) => isNode(node)) as [string, Node][]);
  const sampler = [...nodes.values()].find(({ class_type }) => /^KSampler/.test(class_type));
  if (sampler === undefined) return undefined;
  const seen = new Set<Node>([sampler]);
  const reading = new Reading("ComfyUI");
  const linked = (value: unknown): Node | undefined => (Array.isArray(value) ? nodes.get(String(value[0])) : undefined);
  const read = (value: unknown): unknown => {
    const node = linked(value);
    if (node === undefined) return Array.isArray(value) ? undefined : value;
    seen.add(node);
    return ["value", "seed", "text", "string", "int", "float", "noise_seed"]
      .map((key) => node.inputs[key])
      .find((each) => each !== undefined);
  };
  const { seed, noise_seed, steps, cfg, sampler_name, scheduler, positive, negative, latent_image, model } = sampler.inputs;
  /** The nodes from a link on, each found from the one before it; a circle of links ends. */
  function* along(link: unknown, next: (inputs: Fields) => unknown): Generator<Node> {
    const passed = new Set<Node>();
    for (let node = linked(link); node !== undefined && !passed.has(node); node = linked(next(node.inputs))) {
      passed.add(node);
      seen.add(node);
      yield node;
    }
  }
  const textOf = (link: unknown): unknown => {
    const chain = along(link, ({ conditioning, positive, conditioning_1 }) => conditioning ?? positive ?? conditioning_1);
    for (const { inputs } of chain) {
      const { text, text_g } = inputs;
      if (text !== undefined || text_g !== undefined) return read(text ?? text_g);
    }
    return undefined;
  };
  reading.take("prompt", textOf(positive));
  reading.take("negativePrompt", textOf(negative));
  reading.take("numInferenceSteps", numberOf(read(steps)));
  reading.take("guidanceScale", numberOf(read(cfg)));
  reading.take("seed", read(seed ?? noise_seed));
  reading.sampler(read(sampler_name), read(scheduler));
  const latent = linked(latent_image);
  if (latent?.class_type === "EmptyLatentImage") {
    seen.add(latent);
    reading.size(read(latent.inputs.width), read(latent.inputs.height));
  }
  const loras: [unknown, unknown][] = [];
  for (const { class_type, inputs } of along(model, (inputs) => inputs.model)) {
    const { lora_name, strength_model, ckpt_name } = inputs;
    if (lora_name !== undefined) loras.unshift([baseName(read(lora_name)), strength_model]);
    else if (ckpt_name !== undefined) reading.model(baseName(read(ckpt_name)));
    else reading.left.push(class_type);
  }
  reading.loras(loras);
  const cut = [...nodes.values()].find(({ class_type }) => class_type === "CLIPSetLastLayer");
  const skip = -(numberOf(cut?.inputs.stop_at_clip_layer) ?? -2) - 2; // -2 is SDXL's own
  if (skip > 0) reading.take("clipSkip", skip);
  for (const node of nodes.values()) if (!seen.has(node) && !ORDINARY.test(node.class_type)) reading.left.push(node.class_type);
  return reading.found;
}

const ORDINARY = /^(VAEDecode(Tiled)?|SaveImage|PreviewImage|CheckpointLoaderSimple|CLIPSetLastLayer|VAELoader|Note|Reroute)$/;
const isNode = (node: unknown): node is Node =>
  typeof node === "object" &&
  node !== null &&
  typeof (node as Node).class_type === "string" &&
  typeof (node as Node).inputs === "object" &&
  (node as Node).inputs !== null;
