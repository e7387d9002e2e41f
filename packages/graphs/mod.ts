export * from "./attention_block.ts";
export { GraphBuilder } from "./graph_builder.ts";
export * from "./head.ts";
export * from "./mlp_block.ts";
export * from "./node_models.ts";
export * from "./resident_decoder.ts";
