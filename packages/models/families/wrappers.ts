/**
 * A model of more than text: its config.json has that of a model of a family under `text_config`,
 * and beside the tensors of that model it has those of other parts.
 */
export interface Wrapper {
  readonly modelType: string;
  /** `model_type` of the text model where `text_config` does not say it. */
  readonly text: string;
  /** What `text_config` means by keys that it lacks, where no family has a default for them. */
  readonly absent?: Readonly<Record<string, unknown>>;
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
  {
    ...{ modelType: "gemma3", text: "gemma3_text", tied: true, parts: PARTS, layouts: LLAVA },
    // Configs on the hub leave out what is so in the smallest one.
    absent: {
      ...{ hidden_size: 2304, intermediate_size: 9216, num_hidden_layers: 26 },
      ...{ num_attention_heads: 8, vocab_size: 262_208 },
    },
  },
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

/** The wrapper of a `model_type`; undefined for any other. */
export function wrapperOf(modelType: unknown): Wrapper | undefined {
  return WRAPPERS.find((wrapper) => wrapper.modelType === modelType);
}
