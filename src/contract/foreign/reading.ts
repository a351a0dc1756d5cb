import { samplerOfLabel } from "../../samplers/sampler-labels.ts";

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

/** Named values, as JSON has them. */
export type Fields = Readonly<Record<string, unknown>>;

/** What is said of a picture besides its pixels and does not change them. */
const SILENT = /hash|^version$|^app_version$|^created_by$|^user$|^batch (pos|size)$/i;

/** Collects settings: takes what has a counterpart, and names what has none. */
export class Reading {
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

  /** Leaves all fields but those of these names. */
  leaveAll(fields: Fields, but: ReadonlySet<string> = new Set()): void {
    for (const [name, value] of Object.entries(fields)) if (!but.has(name)) this.leave(name, value);
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

/** Number of a value or of its text; undefined if it is none. */
export const numberOf = (value: unknown): number | undefined => {
  const number = typeof value === "string" && value.trim() === "" ? Number.NaN : Number(value);
  return typeof value !== "boolean" && value !== null && Number.isFinite(number) ? number : undefined;
};

/** Whether a value has names. */
export const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null && !Array.isArray(value);

/** A file's name without its folder. */
export const baseName = (path: unknown): unknown => (typeof path === "string" ? path.split(/[\\/]/).at(-1) : path);

/** A LoRA's name with the ending of its file. */
export const fileOf = (name: unknown): unknown =>
  typeof name === "string" && !/\.safetensors$/i.test(name) ? `${name}.safetensors` : name;
