import { UnsupportedModelError } from "@lopper/core";
import { configSchema, type ModelConfig } from "../config_schema.ts";
import { familyOf } from "../families/mod.ts";
import {
  anyObject,
  checkJson,
  type ExternalFiles,
  type ModelFolder,
  type OnnxNode,
  readJson,
  type ValueFlow,
} from "@lopper/formats";
import { ropeFromTables } from "./rope_tables.ts";
import { rotaryTables } from "./rotary.ts";
import { storedTables } from "./rotary_check.ts";
import type { FoundWeight } from "./weight_uses.ts";
import { z } from "zod";

/** What the builder of onnxruntime-genai writes beside a model, instead of config.json. */
export const BUILDER_CONFIG = "genai_config.json";

const size = z.int().positive();
const tokens = z.union([z.int(), z.array(z.int())]).nullish();
const typeSchema = z.looseObject({ model: z.looseObject({ type: z.string() }) });
const schema = z.looseObject({
  model: z.looseObject({
    type: z.string(),
    context_length: size,
    vocab_size: size,
    bos_token_id: tokens,
    eos_token_id: tokens,
    pad_token_id: tokens,
    decoder: z.looseObject({
      filename: z.string(),
      head_size: size,
      hidden_size: size,
      num_attention_heads: size,
      num_hidden_layers: size,
      num_key_value_heads: size,
    }),
  }),
});

/** What genai_config.json says of a model. */
export type BuilderConfig = z.infer<typeof schema>["model"];

/**
 * Reads genai_config.json.
 * @throws {UnsupportedModelError} when the model is of no family that Lopper reads.
 * @throws {CheckpointFormatError} when the file is not what its name says.
 */
export async function readBuilderConfig(folder: ModelFolder): Promise<BuilderConfig> {
  const file = `${folder.name}/${BUILDER_CONFIG}`;
  const json = await readJson(folder, BUILDER_CONFIG, anyObject);
  familyOf(checkJson(json, typeSchema, file).model.type, file);
  return checkJson(json, schema, file).model;
}

/** The name of the ONNX file that genai_config.json names. @throws as `readBuilderConfig`. */
export async function builderFile(folder: ModelFolder): Promise<string> {
  return (await readBuilderConfig(folder)).decoder.filename;
}

/**
 * The config.json of a model of which there is only what the builder of onnxruntime-genai wrote:
 * sizes and tokens from genai_config.json; the rest from the graph, where it is an attribute of a
 * node, or can be told from the weights.
 * @throws {CheckpointFormatError} when genai_config.json is not what its name says.
 * @throws {UnsupportedModelError} when the graph does not show a setting, or shows one that Lopper
 *   does not compute.
 */
export async function configFromBuilder(
  model: BuilderConfig,
  flow: ValueFlow,
  weights: readonly FoundWeight[],
  files: ExternalFiles,
): Promise<ModelConfig> {
  const { decoder, type } = model;
  const { file, nodes } = flow.graph;
  const need = (what: string): never => {
    throw new UnsupportedModelError(
      `${file}: the graph does not show ${what}; put the model's config.json beside ${BUILDER_CONFIG}`,
    );
  };
  const found = (weight: string) =>
    weights.find(({ role }) => "layer" in role && role.layer === 0 && role.weight === weight);
  const only = (part: "embedding" | "lmHead") => weights.find(({ role }) => role.part === part);
  const gate = found("gate") ?? need("the MLP of layer 0");
  const head = only("lmHead");
  const window = slidingWindow(nodes) ?? need("the same window for the attention of all layers");
  const config = {
    model_type: type,
    vocab_size: model.vocab_size,
    max_position_embeddings: model.context_length,
    hidden_size: decoder.hidden_size,
    intermediate_size: gate.tensor.shape.at(gate.transposed ? -1 : 0),
    num_hidden_layers: decoder.num_hidden_layers,
    num_attention_heads: decoder.num_attention_heads,
    num_key_value_heads: decoder.num_key_value_heads,
    head_dim: decoder.head_size,
    hidden_act: "silu",
    rms_norm_eps: epsilon(nodes) ?? need("the epsilon of its norms"),
    tie_word_embeddings: head === undefined || head.tensor === only("embedding")?.tensor,
    attention_bias: (found("q_bias") ?? found("qkv_bias")) !== undefined,
    mlp_bias: found("gate_bias") !== undefined,
    ...(window > 0 ? { sliding_window: window } : { sliding_window: null }),
    use_sliding_window: window > 0,
    max_window_layers: 0,
    rope_parameters: await rope(flow, files) ?? need("one table of rotary angles for all layers"),
    bos_token_id: model.bos_token_id,
    eos_token_id: model.eos_token_id,
    // The builder writes the number of tokens where the model has no token for it.
    pad_token_id: model.pad_token_id === model.vocab_size ? undefined : model.pad_token_id,
  };
  return checkJson(config, configSchema, `${file} (with ${BUILDER_CONFIG})`);
}

/** The shortest decimal that is the epsilon of the graph's fused norms. */
function epsilon(nodes: readonly OnnxNode[]): number | undefined {
  for (const { op, attributes } of nodes) {
    const value = attributes.get("epsilon");
    if (!op.endsWith("SimplifiedLayerNormalization") || typeof value !== "number") continue;
    return Number(value.toPrecision(6));
  }
}

/** Tokens that attention reaches back, 0 for all; undefined where it is not the same everywhere. */
function slidingWindow(nodes: readonly OnnxNode[]): number | undefined {
  const windows = new Set(
    nodes.flatMap(({ op, attributes }) =>
      op === "GroupQueryAttention" ? [attributes.get("local_window_size") ?? -1] : []
    ),
  );
  const [window = -1, ...others] = windows;
  if (others.length > 0 || typeof window !== "number") return undefined;
  return Math.max(0, window);
}

async function rope(
  flow: ValueFlow,
  files: ExternalFiles,
): Promise<Record<string, unknown> | undefined> {
  const [pair, ...others] = rotaryTables(flow);
  if (!pair || others.length > 0) return undefined;
  const tables = await storedTables(pair, flow, files);
  return tables && await ropeFromTables(...tables, flow.graph.file);
}
