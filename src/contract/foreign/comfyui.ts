import { baseName, type Fields, type ForeignSettings, isFields, numberOf, Reading } from "./reading.ts";

interface Node {
  readonly class_type: string;
  readonly inputs: Fields;
}

/** Reads ComfyUI's graph: what its sampler is given, followed along the links. */
export function ofComfy(graph: Fields): ForeignSettings | undefined {
  const nodes = new Map(Object.entries(graph).filter(([, node]) => isNode(node)) as [string, Node][]);
  const linked = (value: unknown): Node | undefined => (Array.isArray(value) ? nodes.get(String(value[0])) : undefined);
  const samplers = [...nodes.values()].filter(
    ({ class_type }) => /^(KSampler|SamplerCustom)/.test(class_type) && class_type !== "KSamplerSelect",
  );
  const sampler = samplers.find(({ inputs }) => EMPTY.test(linked(inputs.latent_image)?.class_type ?? "")) ?? samplers[0];
  if (sampler === undefined) return undefined;
  const seen = new Set<Node>([sampler]);
  const reading = new Reading("ComfyUI");
  const read = (value: unknown): unknown => {
    const node = linked(value);
    if (node === undefined) return Array.isArray(value) ? undefined : value;
    seen.add(node);
    return ["value", "seed", "text", "string", "int", "float", "noise_seed"]
      .map((key) => node.inputs[key])
      .find((each) => each !== undefined && !Array.isArray(each));
  };
  // nodes for a part of a sampler's work each
  const parts = ["noise", "guider", "sampler", "sigmas"].flatMap((key) => linked(sampler.inputs[key]) ?? []);
  for (const part of parts) seen.add(part);
  const inputs: Fields = Object.assign({}, ...parts.map((part) => part.inputs), sampler.inputs);
  const { seed, noise_seed, steps, cfg, sampler_name, scheduler, negative, latent_image, model } = inputs;
  /** The nodes from a link on, each found from the one before it; a circle of links ends. */
  function* along(link: unknown, next: (inputs: Fields) => unknown): Generator<Node> {
    const passed = new Set<Node>();
    for (let node = linked(link); node !== undefined && !passed.has(node); node = linked(next(node.inputs))) {
      passed.add(node);
      seen.add(node);
      yield node;
    }
  }
  /** For text encoder 1, and for 2 where that is told something else. */
  const textsOf = (link: unknown): readonly [unknown, unknown?] => {
    const chain = along(link, ({ conditioning, positive, conditioning_1 }) => conditioning ?? positive ?? conditioning_1);
    for (const { inputs: own } of chain) {
      const [text, first, second] = [own.text, own.text_l, own.text_g].map(read);
      if (own.text !== undefined) return [text];
      if (own.text_l !== undefined || own.text_g !== undefined)
        return first === undefined || first === "" || first === second ? [second] : [first, second];
    }
    return [undefined];
  };
  const [prompt, prompt2] = textsOf(inputs.positive ?? inputs.conditioning);
  const [negativePrompt, negativePrompt2] = textsOf(negative);
  for (const [key, text] of Object.entries({ prompt, prompt2, negativePrompt, negativePrompt2 })) reading.take(key, text);
  reading.take("numInferenceSteps", numberOf(read(steps)));
  reading.take("guidanceScale", numberOf(read(cfg)));
  reading.take("seed", read(seed ?? noise_seed));
  reading.sampler(read(sampler_name), read(scheduler));
  const latent = linked(latent_image);
  if (latent !== undefined && EMPTY.test(latent.class_type)) {
    seen.add(latent);
    reading.size(read(latent.inputs.width), read(latent.inputs.height));
  }
  const loras: [unknown, unknown][] = [];
  for (const { class_type, inputs: own } of along(model, (of) => of.model)) {
    const { lora_name, strength_model, ckpt_name } = own;
    const stacked = Object.values(own).filter(
      (value) => isFields(value) && typeof value.lora === "string" && value.on !== false,
    ) as Fields[];
    if (lora_name !== undefined) loras.unshift([baseName(read(lora_name)), strength_model]);
    else if (stacked.length > 0)
      loras.unshift(...stacked.map(({ lora, strength }): [unknown, unknown] => [baseName(lora), strength]));
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
/** Nodes that make the latents of a new picture. */
const EMPTY = /^Empty.*Latent/;
const isNode = (node: unknown): node is Node =>
  typeof node === "object" &&
  node !== null &&
  typeof (node as Node).class_type === "string" &&
  typeof (node as Node).inputs === "object" &&
  (node as Node).inputs !== null;
