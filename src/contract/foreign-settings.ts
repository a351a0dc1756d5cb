import { samplerOfLabel } from "../samplers/sampler-labels.ts";
import { withExactIntegers } from "./exact-integers.ts";

/** What another program wrote into a picture, as far as it has a counterpart here. */
export interface ForeignSettings {
  readonly program: string;
  /** Fields of a request, not yet checked. */
  readonly request: Readonly<Record<string, unknown>>;
  /** Fields of load options; files are known by name. */
  readonly load: Readonly<Record<string, unknown>>;
  /** What is left out, such as "Hires upscale: 2". */
  readonly left: readonly string[];
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * Settings that A1111's web UI (and those after it), Fooocus, ComfyUI or InvokeAI wrote into a picture; undefined where none did.
 * @param texts of the picture, by keyword
 */
export function foreignSettings(texts: Readonly<Record<string, string>>): ForeignSettings | undefined {
  const invoke = jsonOf(texts.invokeai_metadata);
  if (invoke !== undefined) return ofInvoke(invoke);
  const { parameters } = texts;
  const fooocus = jsonOf(parameters);
  if (fooocus !== undefined) return ofFooocus(fooocus);
  if (parameters !== undefined) return ofInfotext(parameters);
  const graph = jsonOf(texts.prompt);
  return graph === undefined ? undefined : ofComfy(graph as Readonly<Record<string, unknown>>);
}

function jsonOf(text: string | undefined): Fields | undefined {
  if (text?.trim().startsWith("{") !== true) return undefined;
  try {
    return JSON.parse(withExactIntegers(text.replace(/:\s*NaN\b/g, ": null"))) as Fields;
  } catch {
    return undefined; // a prompt may begin with a brace, too
  }
}

/** What is said of a picture besides its pixels and does not change them. */
const SILENT = /hash|^version$|^app_version$|^created_by$|^user$|^batch (pos|size)$/i;

/** Takes what has a counterpart, and names what has none. */
class Reading {
  readonly request: Record<string, unknown> = {};
  readonly load: Record<string, unknown> = {};
  readonly left: string[] = [];
  readonly #program: string;

  constructor(program: string) {
    this.#program = program;
  }

  take(key: string, value: unknown): void {
    if (value !== undefined && value !== null && value !== "") this.request[key] = value;
  }

  leave(name: string, value: unknown): void {
    if (SILENT.test(name) || value === undefined || value === null || value === "" || value === false) return;
    const text = typeof value === "string" ? value : JSON.stringify(value);
    if (["[]", "{}"].includes(text)) return;
    this.left.push(`${name}: ${text.length > 40 ? `${text.slice(0, 39)}…` : text}`);
  }

  sampler(label: unknown, schedule?: unknown): void {
    if (typeof label !== "string") return;
    const name = samplerOfLabel(label, typeof schedule === "string" ? schedule : undefined);
    if (name !== undefined) this.request.scheduler = name;
    else this.leave("sampler", schedule === undefined ? label : `${label}, ${String(schedule)}`);
  }

  size(width: unknown, height: unknown): void {
    this.take("width", numberOf(width));
    this.take("height", numberOf(height));
  }

  loras(loras: readonly (readonly [name: unknown, scale: unknown])[]): void {
    const named = loras.filter(([name]) => typeof name === "string" && name !== "" && name !== "None");
    if (named.length > 0) this.load.loras = named.map(([path, scale]) => ({ path, scale: numberOf(scale) ?? 1 }));
  }

  model(name: unknown): void {
    if (typeof name === "string" && name !== "")
      this.load.model = /\.(safetensors|gguf|ckpt)$/i.test(name) ? name : `${name}.safetensors`;
  }

  get found(): ForeignSettings {
    const { request, load, left } = this;
    return { program: this.#program, request, load, left };
  }
}

const numberOf = (value: unknown): number | undefined => {
  const number = typeof value === "string" && value.trim() === "" ? Number.NaN : Number(value);
  return typeof value !== "boolean" && value !== null && Number.isFinite(number) ? number : undefined;
};

/** The prompt, "Negative prompt: …", and a last line of settings: A1111's modules/infotext_utils.py parse_generation_parameters. */
function ofInfotext(text: string): ForeignSettings | undefined {
  const lines = text.trim().split(/\r?\n/);
  const settings = [...(lines.at(-1) ?? "").matchAll(/\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)/g)].map(
    ([, name, value]) => [name!, value!.startsWith('"') ? unquoted(value!) : value!.trim()] as const,
  );
  if (settings.length < 3) return undefined;
  const words = lines.slice(0, -1);
  const negative = words.findIndex((line) => line.startsWith("Negative prompt:"));
  const end = negative < 0 ? words.length : negative;
  const reading = new Reading("A1111's web UI or one of its kin");
  reading.take("prompt", words.slice(0, end).join("\n").trim());
  reading.take("negativePrompt", words.slice(end).join("\n").replace("Negative prompt:", "").trim());
  const fields = new Map(settings);
  const taken: Readonly<Record<string, (value: string) => void>> = {
    Steps: (value) => reading.take("numInferenceSteps", numberOf(value)),
    "CFG scale": (value) => reading.take("guidanceScale", numberOf(value)),
    Seed: (value) => reading.take("seed", value),
    Size: (value) => reading.size(...(value.split("x") as [string, string])),
    Model: (value) => reading.model(value),
    Sampler: (value) => reading.sampler(value, fields.get("Schedule type")),
    "Schedule type": () => {},
    RNG: () => {},
    // A1111 takes SDXL's last layer but one whatever it is
    "Clip skip": (value) => (numberOf(value)! > 2 ? reading.leave("Clip skip", value) : undefined),
  };
  for (const [name, value] of settings) (taken[name] ?? ((v: string) => reading.leave(name, v)))(value);
  reading.take("generatorDevice", fields.get("RNG") === "CPU" ? "cpu" : "cuda");
  return reading.found;
}

function unquoted(value: string): string {
  try {
    return JSON.parse(value) as string;
  } catch {
    return value;
  }
}

/** Fooocus' own form: modules/meta_parser.py. */
function ofFooocus(fields: Fields): ForeignSettings {
  const reading = new Reading("Fooocus");
  const {
    prompt,
    negative_prompt,
    steps,
    guidance_scale,
    seed,
    resolution,
    sampler,
    scheduler,
    base_model,
    loras,
    clip_skip,
    ...rest
  } = fields;
  reading.take("prompt", prompt);
  reading.take("negativePrompt", negative_prompt);
  reading.take("numInferenceSteps", numberOf(steps));
  reading.take("guidanceScale", numberOf(guidance_scale));
  reading.take("seed", seed);
  const [, width, height] = /(\d+)\D+(\d+)/.exec(String(resolution ?? "")) ?? [];
  reading.size(width, height);
  reading.sampler(sampler, scheduler);
  reading.model(base_model);
  reading.loras(Array.isArray(loras) ? loras.map((lora) => lora as [unknown, unknown]) : []);
  const skip = (numberOf(clip_skip) ?? 2) - 2; // its 2 is SDXL's own
  if (skip > 0) reading.take("clipSkip", skip);
  for (const [name, value] of Object.entries(rest)) if (!PLACES.has(name)) reading.leave(name, value);
  return reading.found;
}

/** Fields of Fooocus that repeat others or name its own version. */
const PLACES: ReadonlySet<string> = new Set(["full_prompt", "full_negative_prompt", "metadata_scheme"]);

/** InvokeAI's core metadata, invokeai/app/invocations/metadata.py. */
function ofInvoke(fields: Fields): ForeignSettings {
  const reading = new Reading("InvokeAI");
  const {
    positive_prompt,
    negative_prompt,
    steps,
    cfg_scale,
    seed,
    width,
    height,
    scheduler,
    model,
    loras,
    rand_device,
    ...rest
  } = fields;
  reading.take("prompt", positive_prompt);
  reading.take("negativePrompt", negative_prompt);
  reading.take("numInferenceSteps", numberOf(steps));
  reading.take("guidanceScale", numberOf(cfg_scale));
  reading.take("seed", seed);
  reading.size(width, height);
  reading.sampler(scheduler);
  reading.model(nameOf(model));
  reading.take("generatorDevice", rand_device === "cuda" ? "cuda" : "cpu");
  reading.loras(
    Array.isArray(loras)
      ? loras.map((lora: Fields) => [fileOf(nameOf(lora.model) ?? nameOf(lora.lora)), lora.weight] as const)
      : [],
  );
  for (const [name, value] of Object.entries(rest)) if (value !== 0) reading.leave(name, value);
  return reading.found;
}

const fileOf = (name: unknown): unknown =>
  typeof name === "string" && !/\.safetensors$/i.test(name) ? `${name}.safetensors` : name;

function nameOf(model: unknown): unknown {
  if (typeof model !== "object" || model === null) return model;
  const { name, model_name } = model as Fields;
  return name ?? model_name;
}

interface Node {
  readonly class_type: string;
  readonly inputs: Fields;
}

/** ComfyUI's graph: what its sampler is given, followed along the links. */
function ofComfy(graph: Readonly<Record<string, unknown>>): ForeignSettings | undefined {
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
  const textOf = (link: unknown): unknown => {
    for (let node = linked(link), hops = 0; node !== undefined && hops < 64; hops++) {
      seen.add(node);
      const { text, text_g, conditioning, positive: other } = node.inputs;
      if (text !== undefined || text_g !== undefined) return read(text ?? text_g);
      node = linked(conditioning ?? other ?? node.inputs.conditioning_1);
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
  for (let node = linked(model), hops = 0; node !== undefined && hops < 64; hops++) {
    seen.add(node);
    const { lora_name, strength_model, ckpt_name } = node.inputs;
    if (lora_name !== undefined) loras.unshift([baseName(read(lora_name)), strength_model]);
    else if (ckpt_name !== undefined) reading.model(baseName(read(ckpt_name)));
    else reading.left.push(node.class_type);
    node = linked(node.inputs.model);
  }
  reading.loras(loras);
  const cut = [...nodes.values()].find(({ class_type }) => class_type === "CLIPSetLastLayer");
  const skip = -(numberOf(cut?.inputs.stop_at_clip_layer) ?? -2) - 2; // -2 is SDXL's own
  if (skip > 0) reading.take("clipSkip", skip);
  for (const node of nodes.values()) if (!seen.has(node) && !ORDINARY.test(node.class_type)) reading.left.push(node.class_type);
  return reading.found;
}

const ORDINARY = /^(VAEDecode(Tiled)?|SaveImage|PreviewImage|CheckpointLoaderSimple|CLIPSetLastLayer|VAELoader|Note|Reroute)$/;
const baseName = (path: unknown): unknown => (typeof path === "string" ? path.split(/[\\/]/).at(-1) : path);
const isNode = (node: unknown): node is Node =>
  typeof node === "object" &&
  node !== null &&
  typeof (node as Node).class_type === "string" &&
  typeof (node as Node).inputs === "object";
