import type { AttentionOp } from "@lopper/graphs";

/** The fastest way to compute attention on each engine, among those that it computes rightly. */
export const ATTENTION_OPS = {
  cpu: "gqa",
  wasm: "attention",
  cuda: "attention",
  webgpu: "plain",
} as const satisfies Readonly<Record<string, AttentionOp>>;
