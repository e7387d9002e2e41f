import type { Attention, Heads } from "@lopper/core";
import type { GraphBuilder } from "../graph_builder.ts";
import type { FedAttention } from "./fed_options.ts";
import { rotatedChannels } from "./rotation.ts";

/** Where attention is added whose tokens, and what was before them, are fed. */
export interface FedContext {
  readonly g: GraphBuilder;
  readonly options: FedAttention;
  readonly attention: Attention;
  readonly heads: Heads;
  /** Tokens that a query sees; null for all that there are. */
  readonly window: number | null;
  /** int64 [2]: B and T. */
  readonly batchAndLength: string;
}

/** Declares the table of the block's rotary embedding. */
export function rotaryInputs(
  { g, attention: { rope }, heads: { headDim } }: FedContext,
): [cos: string, sin: string] {
  if (!rope) return ["", ""];
  const dims = ["P", rotatedChannels(rope, headDim) / 2];
  return [g.input("cos", "float32", dims), g.input("sin", "float32", dims)];
}

/** Declares keys and values of earlier tokens, where some are fed. */
export function pastInputs({ g, options, heads }: FedContext): [string, string] {
  if (!options.kvCache) return ["", ""];
  const dims = ["B", options.op === "gqa" ? heads.kvHeads : "KV_past", "S", heads.headDim];
  return [g.input("past_key", "float32", dims), g.input("past_value", "float32", dims)];
}

/** Declares keys and values with those of earlier tokens. */
export function presentOutputs(
  { g, heads: { headDim } }: FedContext,
  values: readonly string[],
) {
  const dims = ["B", "KV", "S_total", headDim];
  ["present_key", "present_value"].forEach((name, i) => g.output(name, values[i], "float32", dims));
}
