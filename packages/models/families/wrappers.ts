/**
 * A model of more than text: its config.json has that of a model of a family under `text_config`,
 * and beside the tensors of that model it has those of other parts.
 */
export interface Wrapper {
  readonly modelType: string;
  /** `model_type` of the text model where `text_config` does not say it. */
  readonly text: string;
  /** `tie_word_embeddings` where it is said nowhere. */
  readonly tied: boolean;
  /** Its other parts: what the names of their tensors begin with, behind what all begin with. */
  readonly parts: readonly string[];
  /** The ways in which its checkpoints name tensors. */
  readonly layouts: readonly TextLayout[];
}

/** Where a model of more than text has the tensors of its text model. */
export interface TextLayout {
  /** What their names begin with, in place of `usual`. */
  readonly stored: string;
  readonly usual: string;
  /** What the names of its other parts begin with. */
  readonly others: string;
}

/** As in transformers 5.24, `conversion_mapping.py`, "llava". */
const LLAVA: readonly TextLayout[] = [
  // As transformers has it in memory from 4.52 on, with the head outside.
  { stored: "model.language_model.", usual: "model.", others: "model." },
  // As it had it before, and writes it still.
  { stored: "language_model.", usual: "", others: "" },
];
const PARTS = ["vision_tower.", "multi_modal_projector."];

/**
 * A line each, so that one is added by that. Their texts are computed as their text models compute
 * them.
 */
export const WRAPPERS: readonly Wrapper[] = [
  { modelType: "gemma3", text: "gemma3_text", tied: true, parts: PARTS, layouts: LLAVA },
  { modelType: "mistral3", text: "mistral", tied: true, parts: PARTS, layouts: LLAVA },
  { modelType: "llava", text: "llama", tied: false, parts: PARTS, layouts: LLAVA },
  {
    ...{ modelType: "llava_next", text: "llama", tied: false, layouts: LLAVA },
    parts: [...PARTS, "image_newline"],
  },
  { modelType: "internvl", text: "qwen2", tied: true, parts: PARTS, layouts: LLAVA },
  {
    ...{ modelType: "smolvlm", text: "llama", tied: false, parts: ["vision_model.", "connector."] },
    layouts: [{ stored: "model.text_model.", usual: "model.", others: "model." }],
  },
];

/** Sizes of a text model, in the order in which they are written below. */
const SIZES = [
  "hidden_size",
  "intermediate_size",
  "num_hidden_layers",
  "num_attention_heads",
  "vocab_size",
] as const;

/**
 * What sizes are that a text model's config leaves out, by its `model_type`: those of its class in
 * transformers (5.24). A model by itself has to say them; within another, those on the hub leave
 * out what is usual.
 */
const USUAL_SIZES: Readonly<Record<string, readonly number[]>> = {
  gemma3_text: [2304, 9216, 26, 8, 262_208],
  llama: [4096, 11_008, 32, 32, 32_000],
  ministral3: [4096, 14_336, 34, 32, 131_072],
  mistral: [4096, 14_336, 32, 32, 32_000],
  qwen2: [4096, 22_016, 32, 32, 151_936],
  qwen3: [4096, 22_016, 32, 32, 151_936],
};

/** Sizes that the config of a text model may leave out, by their keys. */
export function usualSizes(modelType: string): Readonly<Record<string, number>> {
  const sizes = Object.hasOwn(USUAL_SIZES, modelType) ? USUAL_SIZES[modelType] : [];
  return Object.fromEntries(sizes.map((size, i) => [SIZES[i], size]));
}

/** The wrapper of a `model_type`; undefined for any other. */
export function wrapperOf(modelType: unknown): Wrapper | undefined {
  return WRAPPERS.find((wrapper) => wrapper.modelType === modelType);
}
