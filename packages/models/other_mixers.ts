import { shown } from "@lopper/core";

type Json = Readonly<Record<string, unknown>>;

/** Where configs of hybrid models list by what the tokens of each layer see one another. */
const LISTS = ["layer_types", "layers_block_type"] as const;
/** How attention is called there, and in the pattern of Nemotron-H, a letter a layer. */
const ATTENTION: readonly unknown[] = ["full_attention", "sliding_attention", "attention", "*"];
/** Where configs keep that of the part that reads text. */
export const TEXT_PARTS = ["text_config", "llm_config", "language_config", "thinker_config"];

const MAMBA = "a state space, Mamba";
/** What some kinds of layers are, in words. */
const WORDS: Readonly<Record<string, string>> = {
  conv: "a short convolution",
  mamba: MAMBA,
  mamba2: MAMBA,
  M: MAMBA,
  mlp: "an MLP without attention before it",
  "-": "an MLP without attention before it",
  moe: "a mixture of experts without attention before it",
  E: "a mixture of experts without attention before it",
  recurrent: "a recurrence",
};
/** "linear_attention" is what transformers calls all that keeps a state in place of a cache. */
const LINEAR = "linear_attention";
const GATED_DELTA = "a gated delta net";

/** A family that says more of its layers than others do. */
interface Hybrid {
  /** `model_type`, of text models too. */
  readonly family: RegExp;
  /** What its "linear_attention" is. */
  readonly linear?: string;
  /** Its layers where it lists none. */
  readonly usual?: (json: Json, layer: number) => string;
}

const HYBRIDS: readonly Hybrid[] = [
  {
    family: /^qwen3_(?:5|next)/,
    linear: GATED_DELTA,
    usual: ({ full_attention_interval: every }, layer) =>
      (layer + 1) % (typeof every === "number" && every > 0 ? every : 4) === 0
        ? "full_attention"
        : LINEAR,
  },
  { family: /^lfm2/, usual: attentionAt("full_attn_idxs", "conv") },
  { family: /^granitemoehybrid$/, linear: MAMBA, usual: () => "mamba" },
  { family: /^nemotron_h/, linear: MAMBA },
  { family: /^bamba$/, linear: MAMBA, usual: attentionAt("attn_layer_indices", "mamba") },
];

/** Layers of one kind, but for those whose numbers a key lists. */
function attentionAt(key: string, other: string) {
  return (json: Json, layer: number) => {
    const listed = json[key];
    return !Array.isArray(listed) || listed.includes(layer) ? "attention" : other;
  };
}

/**
 * What a config says of its layers, as far as that is why Lopper does not read it: the first whose
 * tokens see one another by something else than attention (a state space, a convolution, a delta
 * net), in words; undefined where all are attention, or nothing is said. A model with such layers
 * could be written with attention and MLPs that are narrower, but none of it could be scored: what
 * a block adds depends on all before it.
 */
export function otherMixer(json: Json): string | undefined {
  const parts = [json, ...TEXT_PARTS.map((key) => json[key]).filter(isObject)];
  return parts.map(mixerIn).find((found) => found !== undefined);
}

function mixerIn(json: Json): string | undefined {
  const type = String(json.model_type);
  const hybrid = HYBRIDS.find(({ family }) => family.test(type));
  const types = typesOf(json, hybrid);
  const layer = types.findIndex((found) => !ATTENTION.includes(found));
  if (layer < 0) return undefined;
  const found = types[layer];
  const words = found === LINEAR
    ? hybrid?.linear
    : typeof found === "string" && Object.hasOwn(WORDS, found)
    ? WORDS[found]
    : undefined;
  return `layer ${layer} is ${shown(found)}${
    words ? ` (${words})` : ""
  }; Lopper needs full or sliding attention in ` +
    "every layer, since it scores what it computes";
}

/** The first layers, as far as they are told. */
function typesOf(json: Json, hybrid: Hybrid | undefined): readonly unknown[] {
  const list = LISTS.map((key) => json[key]).find((value) => Array.isArray(value));
  if (list) return list as readonly unknown[];
  const { hybrid_override_pattern: pattern, num_hidden_layers: count } = json;
  if (typeof pattern === "string") return Array.from(pattern);
  const usual = hybrid?.usual;
  if (!usual || !isObject(json)) return [];
  const layers = typeof count === "number" ? Math.max(0, Math.min(count, MAX_LAYERS)) : 1;
  return Array.from({ length: layers }, (_, layer) => usual(json, layer));
}

/** Enough to find a layer that is none of attention. */
const MAX_LAYERS = 128;

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
