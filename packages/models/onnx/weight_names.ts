import type { Family } from "../families/family.ts";
import type { WeightRole } from "../model.ts";

/**
 * What a node does with a weight: multiplies by it, adds it, scales a norm by it, or picks its
 * rows.
 */
export type WeightUse = "matrix" | "bias" | "norm" | "rows";

/**
 * The place of a tensor in a decoder; q, k and v may lie in one tensor, their rows one below the
 * other: "qkv", and "qkv_bias".
 */
export type TensorRole = WeightRole;

/**
 * Weights of a layer by the names that transformers and the builder of onnxruntime-genai give their
 * modules.
 */
const MATRICES: Readonly<Record<string, readonly [kind: string, weight: string]>> = {
  q_proj: ["attention", "q"],
  k_proj: ["attention", "k"],
  v_proj: ["attention", "v"],
  qkv_proj: ["attention", "qkv"],
  o_proj: ["attention", "o"],
  gate_proj: ["mlp", "gate"],
  up_proj: ["mlp", "up"],
  down_proj: ["mlp", "down"],
};
const OUTSIDE: Readonly<Record<string, Readonly<Partial<Record<WeightUse, WeightRole>>>>> = {
  embed_tokens: {
    rows: { part: "embedding" },
    // The head of a tied model may be called by the embedding that it is.
    matrix: { part: "lmHead" },
  },
  norm: { norm: { part: "finalNorm" } },
  lm_head: { matrix: { part: "lmHead" }, rows: { part: "embedding" } },
};

/** A module in a layer, and what the name of a node or a tensor of that module ends with. */
const IN_LAYER = /^(?:model\.)?layers\.(\d{1,4})\.(?:(?:self_attn|attn|mlp)\.)?(\w+)(?:\.(.+))?$/;
const OUTSIDE_LAYERS = /^(?:model\.)?(embed_tokens|norm|lm_head)(?:\.(.+))?$/;
const ENDING = new RegExp(
  "^(?:(?:MatMul|Gemm|Add|Mul|Gather|LayerNorm|SkipLayerNorm|layernorm|RMSNormalization|" +
    "SimplifiedLayerNormalization|SkipSimplifiedLayerNormalization)(?:_\\w+)?)?\\.?(?:weight|bias)?$",
);

/** What the norms in a layer are, by the names of their modules. */
export type NormModules = ReadonlyMap<string, readonly [kind: string, weight: string]>;

/**
 * Those of a family: a name that one family has for the norm of its MLP is that of attention in
 * another one.
 */
export function normModules({ blocks }: Family): NormModules {
  return new Map(
    blocks.flatMap(({ kind, weights }) =>
      Object.entries(weights).flatMap(([weight, { tensor, axes }]) => {
        const [ending, module] = tensor.split(".").toReversed();
        return axes.length === 1 && ending === "weight" ? [[module, [kind, weight]] as const] : [];
      })
    ),
  );
}

/**
 * The role of a weight by the name of its node (`/model/layers.0/self_attn/q_proj/MatMul`) or its
 * tensor (`model.layers.0.attn.q_proj.MatMul.weight`); undefined where the name says none.
 */
export function roleByName(
  name: string,
  use: WeightUse,
  norms: NormModules,
): TensorRole | undefined {
  const path = name.replace(/^\//, "").replaceAll("/", ".");
  const inLayer = IN_LAYER.exec(path);
  if (inLayer) {
    const [, number, module, ending = ""] = inLayer;
    if (!ENDING.test(ending)) return undefined;
    // The builder numbers the final norm as if it were that of one more layer.
    if (module === "final_norm_layernorm" && use === "norm") return { part: "finalNorm" };
    const found = use === "norm"
      ? norms.get(module)
      : use !== "rows" && Object.hasOwn(MATRICES, module)
      ? MATRICES[module]
      : undefined;
    if (!found) return undefined;
    const [part, weight] = found;
    const named = use === "bias" ? `${weight}_bias` : weight;
    return { part, layer: Number(number), weight: named };
  }
  const outside = OUTSIDE_LAYERS.exec(path);
  if (!outside || !ENDING.test(outside[2] ?? "")) return undefined;
  return OUTSIDE[outside[1]][use];
}

/** A role in words, for messages. */
export function describeRole(role: TensorRole): string {
  return "layer" in role ? `${role.weight} of layer ${role.layer}'s ${role.part}` : role.part;
}
