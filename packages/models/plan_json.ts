import {
  describeIssue,
  type LayerSpec,
  type ModelSpec,
  parseStrictJson,
  PlanError,
  type PrunePlan,
  sha256,
} from "@lopper/core";
import { z } from "zod";

const index = z.int().nonnegative().max(2 ** 31 - 1);
const planSchema = z.strictObject({
  kind: z.literal("lopper-prune-plan"),
  schema: z.literal(1),
  modelDigest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  removalOrder: z.array(z.strictObject({ layer: index, kind: z.enum(["attention", "mlp"]) })),
  layers: z.array(z.strictObject({
    attention: z.union([z.literal("removed"), z.strictObject({ kvGroups: z.array(index) })]),
    mlp: z.union([z.literal("removed"), z.strictObject({ channels: z.array(index) })]),
  })),
});

/** The JSON text of a plan, one line a layer; the same plan always gives the same bytes. */
export function planToJson(plan: PrunePlan): string {
  const layers = plan.layers.map((layer) => "    " + JSON.stringify(layer)).join(",\n");
  return `{
  "kind": "lopper-prune-plan",
  "schema": 1,
  "modelDigest": ${JSON.stringify(plan.modelDigest)},
  "removalOrder": ${JSON.stringify(plan.removalOrder)},
  "layers": [
${layers}
  ]
}
`;
}

/** Of the text of a plan: the same plan always has the same. */
export function digestOfPlan(plan: PrunePlan): Promise<string> {
  return sha256(new TextEncoder().encode(planToJson(plan)));
}

/**
 * A plan file is one of Lopper's own, or a `pruning_config.json` of the published implementation.
 */
export type PlanFile =
  | { readonly kind: "plan"; readonly plan: PrunePlan }
  | { readonly kind: "published"; readonly config: PublishedConfig };

/**
 * Reads a plan of either format.
 * @throws {PlanError} when the text is neither; the message names the file and what is wrong in it.
 */
export function parsePlanFile(text: string, file: string): PlanFile {
  let json: unknown;
  try {
    json = parseStrictJson(text);
  } catch (error) {
    throw new PlanError(`${file}: ${(error as Error).message}`, { cause: error });
  }
  if (typeof json === "object" && json !== null && "pruned_attn_idx" in json) {
    return { kind: "published", config: parse(publishedSchema, json, file) };
  }
  const { kind: _kind, schema: _schema, ...plan } = parse(planSchema, json, file);
  return { kind: "plan", plan };
}

function parse<T>(schema: z.ZodType<T>, json: unknown, file: string): T {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  throw new PlanError(`${file}: ${describeIssue(result.error.issues)}`);
}

/** Layers by their numbers, one spelling each. */
const widths = z.record(z.string().regex(/^(0|[1-9]\d{0,4})$/), index);
const once = z.array(index).refine((layers) => new Set(layers).size === layers.length, {
  message: "a layer is named twice",
});
const publishedSchema = z.strictObject({
  pruned_attn_idx: once,
  pruned_mlp_idx: once,
  pruned_attn_width: widths,
  pruned_mlp_width: widths,
});

/**
 * `pruning_config.json` of the published MultiPruner: removed layers in the order of removal, and
 * for every layer the kept query channels and intermediate channels as a prefix of the layer's
 * weights *in the published L1 ranking*, which the file does not name.
 */
export type PublishedConfig = z.infer<typeof publishedSchema>;

/**
 * The published config of `layers`, a narrower `spec`. A removed block keeps the width that it had
 * in `spec`.
 */
export function toPublishedConfig(
  spec: ModelSpec,
  layers: readonly LayerSpec[],
  removalOrder: PrunePlan["removalOrder"],
): PublishedConfig {
  const removed = (kind: "attention" | "mlp") => {
    const ordered = removalOrder.filter((b) => b.kind === kind).map((b) => b.layer);
    const others = layers.flatMap((layer, i) => layer[kind] || ordered.includes(i) ? [] : [i]);
    return [...others, ...ordered];
  };
  const width = (of: (layer: LayerSpec) => number | undefined) =>
    Object.fromEntries(layers.map((layer, i) => [i, of(layer) ?? of(spec.layers[i]) ?? 0]));
  return {
    pruned_attn_idx: removed("attention"),
    pruned_mlp_idx: removed("mlp"),
    pruned_attn_width: width(({ attention }) =>
      attention && attention.queryHeads * spec.headDim ||
      undefined
    ),
    pruned_mlp_width: width(({ mlp }) => mlp?.intermediateSize),
  };
}

/** The JSON text of a published config, laid out as the published implementation writes it. */
export function publishedConfigToJson(config: PublishedConfig): string {
  const list = (values: readonly number[]) =>
    values.length === 0 ? "[]" : `[\n${values.map((v) => `        ${v}`).join(",\n")}\n    ]`;
  const map = (record: Readonly<Record<string, number>>) =>
    `{\n${Object.entries(record).map(([k, v]) => `        "${k}": ${v}`).join(",\n")}\n    }`;
  return `{
    "pruned_attn_idx": ${list(config.pruned_attn_idx)},
    "pruned_mlp_idx": ${list(config.pruned_mlp_idx)},
    "pruned_attn_width": ${map(config.pruned_attn_width)},
    "pruned_mlp_width": ${map(config.pruned_mlp_width)}
}`;
}

/**
 * The layer shapes that a published config leaves of `spec`.
 * @throws {PlanError} when it names other layers, or widths that are not whole KV groups of this
 *   model.
 */
export function fromPublishedConfig(
  spec: ModelSpec,
  config: PublishedConfig,
  file: string,
): readonly LayerSpec[] {
  const count = spec.layers.length;
  for (const [key, record] of Object.entries(config)) {
    const named = Array.isArray(record) ? record : Object.keys(record).map(Number);
    const outside = named.find((layer) => layer >= count);
    if (outside !== undefined) {
      throw new PlanError(`${file}: ${key} names layer ${outside}; the model has ${count} layers`);
    }
  }
  return spec.layers.map(({ attention, mlp }, i): LayerSpec => {
    const queryChannels = config.pruned_attn_width[i];
    const intermediateSize = config.pruned_mlp_width[i];
    if (queryChannels === undefined || intermediateSize === undefined) {
      throw new PlanError(`${file}: no width for layer ${i}; every layer needs one`);
    }
    const keepsAttention = attention && !config.pruned_attn_idx.includes(i);
    const keepsMlp = mlp && !config.pruned_mlp_idx.includes(i);
    if (attention) {
      const perGroup = spec.headDim * attention.queryHeads / attention.kvHeads;
      const groups = queryChannels / perGroup;
      const least = keepsAttention ? 1 : 0;
      if (!Number.isInteger(groups) || groups < least || groups > attention.kvHeads) {
        throw new PlanError(
          `${file}: layer ${i} keeps ${queryChannels} query channels; this model needs a multiple of ${perGroup} ` +
            `up to ${perGroup * attention.kvHeads}`,
        );
      }
    }
    if (mlp && (intermediateSize < (keepsMlp ? 1 : 0) || intermediateSize > mlp.intermediateSize)) {
      throw new PlanError(
        `${file}: layer ${i} keeps ${intermediateSize} MLP channels; this model has ${mlp.intermediateSize}`,
      );
    }
    return {
      attention: keepsAttention
        ? {
          queryHeads: queryChannels / spec.headDim,
          kvHeads: queryChannels / spec.headDim / (attention.queryHeads / attention.kvHeads),
        }
        : null,
      mlp: keepsMlp ? { intermediateSize } : null,
    };
  });
}
