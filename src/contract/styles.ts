import { UserError } from "../core/errors.ts";
import { nearestName } from "./nearest-name.ts";

/** Words around a prompt that make a style. */
export interface StylePreset {
  readonly name: string;
  /** With `{prompt}` where the prompt goes. */
  readonly prompt: string;
  readonly negative: string;
}

const NO_PHOTO = "photo, photorealistic, realism, ugly, deformed, blurry";
const NO_DRAWING = "drawing, painting, sketch, cartoon, anime, deformed, ugly, blurry";

/** The styles of the official demo: TencentARC/PhotoMaker gradio_demo/style_template.py. */
const OFFICIAL: readonly (readonly [string, string, string])[] = [
  ["(No style)", "{prompt}", ""],
  [
    "Cinematic",
    "cinematic still {prompt} . emotional, harmonious, vignette, highly detailed, high budget, bokeh, cinemascope, moody, epic, gorgeous, film grain, grainy",
    "anime, cartoon, graphic, text, painting, crayon, graphite, abstract, glitch, deformed, mutated, ugly, disfigured",
  ],
  [
    "Disney Charactor",
    "A Pixar animation character of {prompt} . pixar-style, studio anime, Disney, high-quality",
    "lowres, bad anatomy, bad hands, text, bad eyes, bad arms, bad legs, error, missing fingers, extra digit, fewer digits, cropped, worst quality, low quality, normal quality, jpeg artifacts, signature, watermark, blurry, grayscale, noisy, sloppy, messy, grainy, highly detailed, ultra textured, photo",
  ],
  [
    "Digital Art",
    "concept art {prompt} . digital artwork, illustrative, painterly, matte painting, highly detailed",
    "photo, photorealistic, realism, ugly",
  ],
  [
    "Photographic (Default)",
    "cinematic photo {prompt} . 35mm photograph, film, bokeh, professional, 4k, highly detailed",
    "drawing, painting, crayon, sketch, graphite, impressionist, noisy, blurry, soft, deformed, ugly",
  ],
  [
    "Fantasy art",
    "ethereal fantasy concept art of  {prompt} . magnificent, celestial, ethereal, painterly, epic, majestic, magical, fantasy art, cover art, dreamy",
    "photographic, realistic, realism, 35mm film, dslr, cropped, frame, text, deformed, glitch, noise, noisy, off-center, deformed, cross-eyed, closed eyes, bad anatomy, ugly, disfigured, sloppy, duplicate, mutated, black and white",
  ],
  [
    "Neonpunk",
    "neonpunk style {prompt} . cyberpunk, vaporwave, neon, vibes, vibrant, stunningly beautiful, crisp, detailed, sleek, ultramodern, magenta highlights, dark purple shadows, high contrast, cinematic, ultra detailed, intricate, professional",
    "painting, drawing, illustration, glitch, deformed, mutated, cross-eyed, ugly, disfigured",
  ],
  [
    "Enhance",
    "breathtaking {prompt} . award-winning, professional, highly detailed",
    "ugly, deformed, noisy, blurry, distorted, grainy",
  ],
  [
    "Comic book",
    "comic {prompt} . graphic illustration, comic art, graphic novel art, vibrant, highly detailed",
    "photograph, deformed, glitch, noisy, realistic, stock photo",
  ],
  [
    "Lowpoly",
    "low-poly style {prompt} . low-poly game art, polygon mesh, jagged, blocky, wireframe edges, centered composition",
    "noisy, sloppy, messy, grainy, highly detailed, ultra textured, photo",
  ],
  [
    "Line art",
    "line art drawing {prompt} . professional, sleek, modern, minimalist, graphic, line art, vector graphics",
    "anime, photorealistic, 35mm film, deformed, glitch, blurry, noisy, off-center, deformed, cross-eyed, closed eyes, bad anatomy, ugly, disfigured, mutated, realism, realistic, impressionism, expressionism, oil, acrylic",
  ],
];

/** Ours; the words in front stay short, so that the person stands early in the text. */
const OWN: readonly (readonly [string, string, string])[] = [
  ["Studio portrait", "studio portrait of {prompt}, softbox light, grey backdrop, 85mm, sharp eyes", NO_DRAWING],
  ["Fashion editorial", "fashion editorial of {prompt}, magazine cover, styled, dramatic light", NO_DRAWING],
  ["Film noir", "film noir still of {prompt}, black and white, hard shadows, 1940s", "colour, bright, drawing, blurry"],
  ["Golden hour", "photo of {prompt}, golden hour, warm backlight, lens flare", NO_DRAWING],
  ["Polaroid", "polaroid of {prompt}, faded colours, flash, 1980s", NO_DRAWING],
  ["Tintype", "tintype of {prompt}, wet plate, sepia, 1860s", `${NO_DRAWING}, colour`],
  ["Street photo", "street photo of {prompt}, candid, 35mm, city", NO_DRAWING],
  ["Oil painting", "oil painting of {prompt}, visible brush strokes, canvas, rich colours", NO_PHOTO],
  ["Watercolour", "watercolour of {prompt}, loose washes, paper texture, soft edges", NO_PHOTO],
  ["Pencil sketch", "pencil sketch of {prompt}, graphite, hatching, white paper", `${NO_PHOTO}, colour`],
  ["Charcoal", "charcoal drawing of {prompt}, smudged, strong contrast", `${NO_PHOTO}, colour`],
  ["Renaissance", "renaissance portrait of {prompt}, sfumato, dark background, old master", NO_PHOTO],
  ["Impressionist", "impressionist painting of {prompt}, dabs of colour, plein air", NO_PHOTO],
  ["Ukiyo-e", "ukiyo-e print of {prompt}, woodblock, flat colours, bold outlines", NO_PHOTO],
  ["Art nouveau", "art nouveau poster of {prompt}, flowing lines, ornament", NO_PHOTO],
  ["Art deco", "art deco poster of {prompt}, geometric, gold and black", NO_PHOTO],
  ["Pop art", "pop art of {prompt}, halftone dots, bold colours", NO_PHOTO],
  ["Anime", "anime of {prompt}, cel shading, clean lines, detailed background", NO_PHOTO],
  ["Pixel art", "pixel art of {prompt}, 16-bit game, limited palette", `${NO_PHOTO}, smooth`],
  ["Stained glass", "stained glass of {prompt}, lead lines, glowing colours", NO_PHOTO],
  ["Mosaic", "mosaic of {prompt}, small tiles, byzantine", NO_PHOTO],
  ["Paper cut", "paper cut of {prompt}, layered paper, shadows", NO_PHOTO],
  ["Claymation", "claymation of {prompt}, clay figure, stop motion, miniature set", "photo of a person, drawing, blurry"],
  ["Bronze statue", "bronze statue of {prompt}, patina, museum", "painting, drawing, blurry"],
  ["Steampunk", "steampunk {prompt}, brass, gears, victorian", "modern, blurry, deformed"],
  ["Cyberpunk", "cyberpunk {prompt}, neon city, rain, night", "daylight, blurry, deformed"],
  ["Superhero", "superhero {prompt}, costume, dynamic pose, city skyline", "blurry, deformed"],
  ["Space", "{prompt} in space, stars, nebula, cinematic", "blurry, deformed"],
];

export const STYLE_PRESETS: readonly StylePreset[] = [...OFFICIAL, ...OWN].map(([name, prompt, negative]) => ({
  name,
  prompt,
  negative,
}));

const keyOf = (name: string): string => name.toLowerCase().replace(/\(default\)|[^a-z]/g, "");

/** Styles whose name or words have this text in them; all without one. */
export const stylesWith = (word = ""): StylePreset[] =>
  STYLE_PRESETS.filter(({ name, prompt }) => `${name} ${prompt}`.toLowerCase().includes(word.toLowerCase()));

/**
 * A request with its style put into its prompts, as the official demo does; without its name.
 * @throws UserError style/unknown
 */
export function withStyle<T extends { prompt: string; negativePrompt?: string | undefined; style?: string | undefined }>(
  request: T,
): T {
  const { style: name, ...rest } = request;
  if (name === undefined) return request;
  const style = STYLE_PRESETS.find((each) => keyOf(each.name) === keyOf(name));
  if (style === undefined) {
    const nearest = nearestName(
      name,
      STYLE_PRESETS.map((each) => each.name),
    );
    throw new UserError(
      "style/unknown",
      `There is no style "${name}".`,
      nearest === undefined ? "--list-styles shows all." : `Did you mean ${nearest}? --list-styles shows all.`,
    );
  }
  const negative = [style.negative, request.negativePrompt].filter(Boolean).join(", ");
  return {
    ...(rest as T),
    prompt: style.prompt.replace("{prompt}", () => request.prompt),
    ...(negative !== "" && { negativePrompt: negative }),
  };
}
