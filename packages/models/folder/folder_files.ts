import { TEMPLATE_FILE, TEMPLATE_FOLDER, TEMPLATE_JSON } from "@lopper/tokenizers";
import { GENERATION_CONFIG } from "./generation_config.ts";

/**
 * Why a file is passed over. What is passed over for the same reason is named in the same sentence.
 */
export type Reason =
  | "code"
  | "weights"
  | "another layout"
  | "images and sound"
  | "adapter"
  | "quantisation"
  | "pooling"
  | "another tokenizer";

/** What becomes of a file in a model's folder. */
export type Fate =
  /** It is read, and what it says is written anew. */
  | "read"
  /** What it says counts where Lopper reads it, and it lies beside what is written, too. */
  | "carried"
  /** The terms under which the model may be used: they lie beside all that is made of it. */
  | "terms"
  /** It goes without saying: no program opens a model by it. */
  | "silent"
  | { readonly passedOver: Reason };

interface FileRule {
  /** Of names of files, and of folders with a slash behind. */
  readonly name: RegExp;
  readonly fate: Fate;
}

const passedOver = (passedOver: Reason): Fate => ({ passedOver });
/** Of files that say how images and sound become tokens. */
export const IMAGES: Fate = passedOver("images and sound");
const exactly = (...names: readonly string[]) =>
  new RegExp(`^(${names.map((name) => name.replaceAll(".", "\\.")).join("|")})$`);

/**
 * Every file that transformers, the converter of llama.cpp and the exporters whose files Lopper
 * opens would look at; the first rule that fits holds. This is the one place that knows them: what
 * is opened, what is written and what is told follow it.
 */
const FILES: readonly FileRule[] = [
  { name: exactly("config.json", "genai_config.json"), fate: "read" },
  {
    name: exactly(
      GENERATION_CONFIG,
      "tokenizer.json",
      "tokenizer_config.json",
      "special_tokens_map.json",
      "added_tokens.json",
      // The same tokenizer for other programs: SentencePiece, GPT-2, tiktoken, Mistral.
      "tokenizer.model",
      "vocab.json",
      "merges.txt",
      "vocab.txt",
      "tiktoken.model",
      "tekken.json",
      TEMPLATE_FILE,
      TEMPLATE_JSON,
    ),
    fate: "carried",
  },
  { name: /^tokenizer\.model\.v\d+$/, fate: "carried" },
  { name: exactly(`${TEMPLATE_FOLDER}/`), fate: "carried" },

  // Lopper's own, written anew where layers differ.
  {
    name: exactly("configuration_lopper.py", "modeling_lopper.py", "configuration_decilm.py"),
    fate: "silent",
  },
  { name: /\.py$/i, fate: passedOver("code") },
  { name: exactly("custom_generate/"), fate: passedOver("code") },

  // What a training leaves behind.
  {
    name: /^(training_args|optimizer|scheduler|scaler|rng_state|trainer_state)[\w.-]*$/,
    fate: "silent",
  },
  { name: /^adapter_/, fate: passedOver("adapter") },
  {
    name: exactly(
      "quantize_config.json",
      "quant_config.json",
      "hf_quant_config.json",
      "quanto_qmap.json",
    ),
    fate: passedOver("quantisation"),
  },
  { name: exactly("params.json", "original/"), fate: passedOver("another layout") },
  { name: /^consolidated\./, fate: passedOver("another layout") },
  { name: exactly("modules.json", "1_Pooling/"), fate: passedOver("pooling") },
  { name: /^tokenizer\.\d[\d.]*\.json$/, fate: passedOver("another tokenizer") },
  { name: /(^|_)(pre)?processor_config\.json$/, fate: IMAGES },
  { name: exactly("audio_tokenizer_config.json"), fate: IMAGES },
  {
    name:
      /\.(safetensors|bin|pt|pth|ckpt|h5|msgpack|ot|gguf|ggml|onnx|onnx_data|onnx\.data|tflite|npz)(\.index\.json)?$/i,
    fate: passedOver("weights"),
  },
  { name: /^(tf_model|flax_model|rust_model|openvino_model)\./, fate: passedOver("weights") },
  { name: exactly("onnx/", "openvino/", "coreml/"), fate: passedOver("weights") },

  {
    name:
      /^([\w -]+[-_ ])?(licen[cs]e|notice|copying|copyright|use_policy)([-_ .][\w .-]*)?(\.(txt|md|pdf|html|rst))?$/i,
    fate: "terms",
  },
];

/** What becomes of a file, or of a folder with a slash behind its name. */
export function fateOf(name: string): Fate {
  return FILES.find((rule) => rule.name.test(name))?.fate ?? "silent";
}

/** What says under which terms a model was published, for whoever writes a card of his own. */
const CARD = "README.md";
/** What is passed over and says no more than that it is there. */
const BULKY: readonly Reason[] = ["weights", "another layout", "code"];

/**
 * Whether a file, by its path from the folder, goes along with the weights: without it the same
 * model would be opened otherwise, or be told of otherwise.
 */
export function isCompanion(path: string): boolean {
  const [top, file] = path.split("/");
  const fate = fateOf(file === undefined ? top : `${top}/`);
  if (typeof fate === "object") {
    return file === undefined && /\.json$/i.test(path) && !BULKY.includes(fate.passedOver);
  }
  return fate !== "silent" || path === CARD;
}

/** More names than these would make a sentence that nobody reads. */
const NAMED = 3;

/** `a, b, c and 4 more`. */
export function listed(names: readonly string[]): string {
  const shown = names.slice(0, NAMED);
  const left = names.length - shown.length;
  if (left > 0) return `${shown.join(", ")} and ${left} more`;
  const last = shown.pop()!;
  return shown.length === 0 ? last : `${shown.join(", ")} and ${last}`;
}

/** What is said of files that are passed over; `read` names the file whose weights are read. */
export const SENTENCES: Readonly<Record<Reason, (names: string, read: string) => string>> = {
  code: (names) => `${names}: left out, since Lopper runs no code of a model and hands none on`,
  weights: (names, read) => `${names}: passed over, since the weights are read from ${read}`,
  "another layout": (names) => `${names}: passed over, the same model in another layout`,
  "images and sound": (names) => `${names}: passed over, since Lopper reads language models only`,
  adapter: (names) => `${names}: passed over, the adapter is not added to the weights`,
  quantisation: (names) => `${names}: passed over, since the weights here are not quantised`,
  pooling: (names) => `${names}: passed over, Lopper reads the model and not what pools its output`,
  "another tokenizer": (names) => `${names}: passed over, since tokenizer.json is read`,
};
