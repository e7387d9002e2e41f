import { GraphBuilder } from "./graph_builder.ts";
import { linear, rmsNorm } from "./layers.ts";

export interface HeadOptions {
  readonly hiddenSize: number;
  readonly vocabSize: number;
  readonly eps: number;
}

/**
 * Final norm and LM head. Feeds: `hidden [N, H]`, `norm [H]`, `lm_head [V, H]`. Fetch: `logits [N, V]`, float32.
 */
export function logitsHead(options: HeadOptions): Uint8Array {
  const g = new GraphBuilder("logits_head");
  g.output("logits", logits(g, options), "float32", ["N", options.vocabSize]);
  return g.encode();
}

export interface NllOptions extends HeadOptions {
  /** Computes with the LogSoftmax operator; without it, with operators that every engine has. True unless said. */
  readonly logSoftmax?: boolean;
}

/**
 * Final norm, LM head and negative log-likelihood: only one number a token leaves the graph.
 * Feeds: those of `logitsHead` and `labels int64 [N]`. Fetch: `nll [N]`, float32, in nats.
 */
export function nllHead(options: NllOptions): Uint8Array {
  const g = new GraphBuilder("nll_head");
  const scores = logits(g, options);
  const labels = g.input("labels", "int64", ["N"]);
  g.output("nll", nllNodes(g, scores, labels, options.logSoftmax ?? true), "float32", ["N"]);
  return g.encode();
}

/** Adds the negative log-likelihood of `labels [N]` under the softmax of `scores [N, V]` to a graph: `[N]`. */
export function nllNodes(g: GraphBuilder, scores: string, labels: string, logSoftmax: boolean) {
  const pick = (values: string) => {
    const column = g.node("Unsqueeze", [labels, g.int64([1])]);
    const chosen = g.node("GatherElements", [values, column], { axis: 1 });
    return g.node("Squeeze", [chosen, g.int64([1])]);
  };
  if (logSoftmax) return g.node("Neg", [pick(g.node("LogSoftmax", [scores], { axis: -1 }))]);
  const largest = g.node("ReduceMax", [scores, g.int64([1])], { keepdims: 1 });
  const shifted = g.node("Sub", [scores, largest]);
  const sum = g.node("ReduceSum", [g.node("Exp", [shifted]), g.int64([1])], { keepdims: 0 });
  return g.node("Sub", [g.node("Log", [sum]), pick(shifted)]);
}

export interface PickedOptions extends NllOptions {
  /** Says for each row which token is the likeliest, too. */
  readonly top: boolean;
}

/**
 * Final norm, LM head and log-probabilities of chosen tokens: rows of the stream are computed once, however many tokens are
 * asked for after each. Feeds: those of `logitsHead` and `picks int64 [P]`, row · V + token of each. Fetches:
 * `log_probs [P]`, float32, in nats, and with `top` `top int64 [N]`, the first of the likeliest tokens of each row.
 */
export function pickedHead(options: PickedOptions): Uint8Array {
  const g = new GraphBuilder("picked_head");
  const scores = logits(g, options);
  const picks = g.input("picks", "int64", ["P"]);
  const logProbs = options.logSoftmax ?? true
    ? g.node("LogSoftmax", [scores], { axis: -1 })
    : logProbabilities(g, scores);
  const flat = g.node("Reshape", [logProbs, g.int64([-1])]);
  g.output("log_probs", g.node("Gather", [flat, picks]), "float32", ["P"]);
  if (options.top) {
    g.output("top", g.node("ArgMax", [scores], { axis: 1, keepdims: 0 }), "int64", ["N"]);
  }
  return g.encode();
}

/** LogSoftmax by operators that every engine has. */
function logProbabilities(g: GraphBuilder, scores: string): string {
  const shifted = g.node("Sub", [
    scores,
    g.node("ReduceMax", [scores, g.int64([1])], { keepdims: 1 }),
  ]);
  const sum = g.node("ReduceSum", [g.node("Exp", [shifted]), g.int64([1])], { keepdims: 1 });
  return g.node("Sub", [shifted, g.node("Log", [sum])]);
}

/** Feeds: `ids int64 [N]`, `embedding [V, H]`. Fetch: `out [N, H]`, float32. */
export function embedding({ hiddenSize, vocabSize }: Omit<HeadOptions, "eps">): Uint8Array {
  const g = new GraphBuilder("embedding");
  const ids = g.input("ids", "int64", ["N"]);
  const table = g.input("embedding", "float32", [vocabSize, hiddenSize]);
  g.output("out", g.node("Gather", [table, ids]), "float32", ["N", hiddenSize]);
  return g.encode();
}

function logits(g: GraphBuilder, { hiddenSize, vocabSize, eps }: HeadOptions): string {
  const hidden = g.input("hidden", "float32", ["N", hiddenSize]);
  const norm = g.input("norm", "float32", [hiddenSize]);
  const lmHead = g.input("lm_head", "float32", [vocabSize, hiddenSize]);
  return linear(g, rmsNorm(g, hidden, norm, eps), lmHead);
}
