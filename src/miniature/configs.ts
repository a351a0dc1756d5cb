/** Side of the miniature's pictures, pixels. */
export const SIDE = 64;
/** Side of the pictures of its sharp decoder. */
export const SHARP_SIDE = 128;
/** Side and channels of its latents. */
export const LATENT_SIDE = 16;
export const LATENT_CHANNELS = 8;
/** Tokens per prompt, with begin and end tokens. */
export const POSITIONS = 48;

const TEXT_WIDTHS = [64, 128] as const;
const CONTEXT = TEXT_WIDTHS[0] + TEXT_WIDTHS[1];
const TIME_ID_DIM = 16;
export const VISION_WIDTH = 128;
export const LORA_RANK = 16;
export const PROJECTIONS = TEXT_WIDTHS;

/**
 * Configs of the miniature's components in the form of diffusers and transformers: a small SDXL for pictures of 64x64. The engine reads its sizes
 * from them, and they are written beside the trained weights.
 */
export const UNET_CONFIG = {
  _class_name: "UNet2DConditionModel",
  _diffusers_version: "0.35.2",
  act_fn: "silu",
  addition_embed_type: "text_time",
  addition_time_embed_dim: TIME_ID_DIM,
  attention_head_dim: [3, 3, 4], // numbers of heads, under diffusers' name for them
  block_out_channels: [48, 96, 128],
  center_input_sample: false,
  cross_attention_dim: CONTEXT,
  down_block_types: ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
  flip_sin_to_cos: true,
  freq_shift: 0,
  in_channels: LATENT_CHANNELS,
  layers_per_block: 1,
  mid_block_type: "UNetMidBlock2DCrossAttn",
  norm_eps: 1e-5,
  norm_num_groups: 16,
  out_channels: LATENT_CHANNELS,
  projection_class_embeddings_input_dim: 6 * TIME_ID_DIM + TEXT_WIDTHS[1],
  sample_size: LATENT_SIDE,
  transformer_layers_per_block: [1, 1, 1],
  up_block_types: ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
  use_linear_projection: true,
} as const;

export const VAE_CONFIG = {
  _class_name: "AutoencoderKL",
  _diffusers_version: "0.35.2",
  act_fn: "silu",
  block_out_channels: [12, 24, 48],
  down_block_types: ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"],
  force_upcast: false,
  in_channels: 3,
  latent_channels: LATENT_CHANNELS,
  layers_per_block: 1,
  mid_block_add_attention: false,
  norm_num_groups: 4,
  out_channels: 3,
  sample_size: SIDE,
  up_block_types: ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"],
} as const;

interface TokenIds {
  readonly vocabulary: number;
  readonly begin: number;
  readonly end: number;
}

export const textConfig = (which: 0 | 1, { vocabulary, begin, end }: TokenIds) => ({
  architectures: [which === 0 ? "CLIPTextModel" : "CLIPTextModelWithProjection"],
  model_type: "clip_text_model",
  attention_dropout: 0,
  bos_token_id: begin,
  eos_token_id: end,
  pad_token_id: end,
  hidden_act: which === 0 ? "quick_gelu" : "gelu",
  hidden_size: TEXT_WIDTHS[which],
  intermediate_size: 2 * TEXT_WIDTHS[which],
  layer_norm_eps: 1e-5,
  max_position_embeddings: POSITIONS,
  num_attention_heads: which === 0 ? 2 : 4,
  num_hidden_layers: 3,
  projection_dim: TEXT_WIDTHS[which],
  vocab_size: vocabulary,
});

/** Content of the adapter's `photomaker-config.json`: sizes that its weights do not reveal. */
export const VISION_CONFIG = {
  hidden_size: VISION_WIDTH,
  intermediate_size: 2 * VISION_WIDTH,
  num_attention_heads: 4,
  num_hidden_layers: 4,
  patch_size: 8,
  image_size: SIDE,
  hidden_act: "quick_gelu",
  layer_norm_eps: 1e-5,
} as const;

/** Scheduler config, rescaled to end in pure noise so that the first step sees no trace of a picture's mean brightness: Lin et al. 2023 (arXiv 2305.08891). */
export const SCHEDULER_CONFIG = {
  _class_name: "DDIMScheduler",
  _diffusers_version: "0.35.2",
  num_train_timesteps: 1000,
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  trained_betas: null,
  clip_sample: false,
  set_alpha_to_one: true,
  steps_offset: 0,
  prediction_type: "v_prediction",
  timestep_spacing: "trailing",
  rescale_betas_zero_snr: true,
} as const;

/** Sizes of the sharp decoder: levels at the latents' size and at twice and four times it, which is that of the VAE's pictures. */
export const SHARP_CONFIG = { channels: [80, 56, 32], blocks: [3, 2, 2], groups: 8 } as const;

/**
 * How faces lie in the miniature's ID images, which are 1.53 sides of the face: `crop` as in `squareAround`. Faces of one person have a cosine of
 * `same_person` and more in the vision transformer's features (docs/faces.md).
 */
export const DRAWN_FACES_CONFIG = {
  same_person: 0.5,
  crop: { large: 0.2, wide: 1.53, narrow: 1.4, lower: -0.06 },
} as const;
