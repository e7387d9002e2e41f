export { type AttentionCase, ATTENTIONS } from "./attention_cases.ts";
export { maxAbsDifference } from "./reference.ts";
export { withReusedGraphs } from "./reused_graphs.ts";
export { openTinyEngine } from "./tiny_engine.ts";
