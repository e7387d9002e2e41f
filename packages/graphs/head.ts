import type { Norm, OuterPart, OuterScaling } from "@lopper/core";
import { GraphBuilder } from "./graph_builder.ts";
import { linear, normed } from "./layers.ts";

export interface HeadOptions {
  readonly hiddenSize: number;
  readonly vocabSize: number;
  readonly norm: Norm;
  /** Weights that it reads beside its matrix. */
  readonly outer: readonly OuterPart[];
  readonly scaling?: OuterScaling;
}

/**
 * Final norm and LM head. Feeds: `hidden [N, H]`, `lm_head [V, H]`, and of `outer` `norm [H]`,
 * `norm_bias [H]` and `lm_head_bias [V]`. Fetch: `logits [N, V]`, float32.
 */
export function logitsHead(options: HeadOptions): Uint8Array {
  const g = new GraphBuilder("logits_head");
  g.output("logits", logits(g, options), "float32", ["N", options.vocabSize]);
  g.independent("N");
  return g.encode();
}

export interface SoftmaxOptions extends HeadOptions {
  /**
   * Computes with the LogSoftmax operator; without it, with operators that every engine has. True
   * unless said.
   */
  readonly logSoftmax?: boolean;
}

/**
 * Final norm, LM head and cross-entropy with given distributions: only one number a token leaves
 * the graph. Feeds: those of `logitsHead`, `tokens int64 [N, K]` and `probabilities float32 [N,
 * K]`. Fetch: `cross_entropy [N]`, float32, in nats.
 */
export function crossEntropyHead(options: SoftmaxOptions): Uint8Array {
  const g = new GraphBuilder("cross_entropy_head");
  const value = crossEntropyNodes(g, logits(g, options), options.logSoftmax ?? true);
  g.output("cross_entropy", value, "float32", ["N"]);
  g.independent("N");
  return g.encode();
}

/**
 * Sums of probabilities in float32 are exact to about 1e-7: what all other tokens have is no less
 * than this.
 */
const MIN_REST = 1e-6;

/**
 * Adds the cross-entropy of the softmax of `scores [N, V]` with distributions that are fed, `[N]`:
 * the `probabilities` of K `tokens` a row, and what is left of 1 for all other tokens together.
 * With one token of probability 1 that is its negative log-likelihood.
 */
export function crossEntropyNodes(g: GraphBuilder, scores: string, logSoftmax: boolean): string {
  const tokens = g.input("tokens", "int64", ["N", "K"]);
  const probabilities = g.input("probabilities", "float32", ["N", "K"]);
  const pick = (values: string) => g.node("GatherElements", [values, tokens], { axis: 1 });
  const sum = (values: string) => g.node("ReduceSum", [values, g.int64([1])], { keepdims: 0 });
  const rest = (shares: string, least: number) =>
    g.node("Max", [g.node("Sub", [g.float32(1), sum(shares)]), g.float32(least)]);
  let found: string;
  if (logSoftmax) found = pick(g.node("LogSoftmax", [scores], { axis: -1 }));
  else {
    const { shifted, logSum } = shiftedScores(g, scores);
    found = g.node("Sub", [pick(shifted), logSum]);
  }
  const named = g.node("Neg", [sum(g.node("Mul", [probabilities, found]))]);
  const others = g.node("Log", [rest(g.node("Exp", [found]), MIN_REST)]);
  return g.node("Sub", [named, g.node("Mul", [rest(probabilities, 0), others])]);
}

/**
 * Final norm, LM head and log-probabilities of all tokens. Feeds: those of `logitsHead`. Fetch:
 * `log_probs [N, V]`, float32, in nats.
 */
export function logProbsHead(options: SoftmaxOptions): Uint8Array {
  const g = new GraphBuilder("log_probs_head");
  const found = logProbabilities(g, logits(g, options), options.logSoftmax ?? true);
  g.output("log_probs", found, "float32", ["N", options.vocabSize]);
  g.independent("N");
  return g.encode();
}

export interface TokenLogProbsOptions extends SoftmaxOptions {
  /** Says for each row which token is the likeliest, too. */
  readonly top: boolean;
}

/**
 * Final norm, LM head and log-probabilities of chosen tokens: rows of hidden states are computed
 * once, however many tokens are asked for after each. Feeds: those of `logitsHead` and
 * `tokens int64 [N, K]`. Fetches: `log_probs [N, K]`, float32, in nats, and with `top`
 * `top int64 [N]`, the first of the likeliest tokens of each row.
 */
export function tokenLogProbsHead(options: TokenLogProbsOptions): Uint8Array {
  const g = new GraphBuilder("token_log_probs_head");
  const scores = logits(g, options);
  const tokens = g.input("tokens", "int64", ["N", "K"]);
  const logProbs = logProbabilities(g, scores, options.logSoftmax ?? true);
  const picked = g.node("GatherElements", [logProbs, tokens], { axis: 1 });
  g.output("log_probs", picked, "float32", ["N", "K"]);
  g.independent("N");
  if (options.top) {
    g.output("top", g.node("ArgMax", [scores], { axis: 1, keepdims: 0 }), "int64", ["N"]);
  }
  return g.encode();
}

function logProbabilities(g: GraphBuilder, scores: string, logSoftmax: boolean): string {
  if (logSoftmax) return g.node("LogSoftmax", [scores], { axis: -1 });
  const { shifted, logSum } = shiftedScores(g, scores);
  return g.node("Sub", [shifted, logSum]);
}

/**
 * Scores less the largest of each row `[N, V]`, and the logarithm of the sum of their exponentials
 * `[N, 1]`.
 */
function shiftedScores(g: GraphBuilder, scores: string) {
  const largest = g.node("ReduceMax", [scores, g.int64([1])], { keepdims: 1 });
  const shifted = g.node("Sub", [scores, largest]);
  const sum = g.node("ReduceSum", [g.node("Exp", [shifted]), g.int64([1])], { keepdims: 1 });
  return { shifted, logSum: g.node("Log", [sum]) };
}

/** Feeds: `ids int64 [N]`, `embedding [V, H]`. Fetch: `out [N, H]`, float32. */
export function embedding(
  { hiddenSize, vocabSize }: Pick<HeadOptions, "hiddenSize" | "vocabSize">,
): Uint8Array {
  const g = new GraphBuilder("embedding");
  const ids = g.input("ids", "int64", ["N"]);
  const table = g.input("embedding", "float32", [vocabSize, hiddenSize]);
  g.output("out", g.node("Gather", [table, ids]), "float32", ["N", hiddenSize]);
  return g.encode();
}

function logits(g: GraphBuilder, options: HeadOptions): string {
  const { hiddenSize, vocabSize, outer } = options;
  const fed = (name: string, ...dims: number[]) => g.input(name, "float32", dims);
  const hidden = g.input("hidden", "float32", ["N", hiddenSize]);
  const lmHead = fed("lm_head", vocabSize, hiddenSize);
  return headNodes(g, hidden, options, {
    weight: outer.includes("finalNorm") ? fed("norm", hiddenSize) : undefined,
    bias: outer.includes("finalNormBias") ? fed("norm_bias", hiddenSize) : undefined,
    product: (x) => linear(g, x, options.scaling?.unitHead ? unitRows(g, lmHead) : lmHead),
    headBias: outer.includes("lmHeadBias") ? fed("lm_head_bias", vocabSize) : undefined,
  });
}

/** Weights of the head as values of a graph, where it has them. */
export interface HeadWeights {
  readonly weight?: string;
  readonly bias?: string;
  /** From `[N, H]` to its product with the LM head, `[N, V]`. */
  readonly product: (x: string) => string;
  readonly headBias?: string;
}

/** Adds the final norm and the LM head: from hidden states `[N, H]` to logits `[N, V]`. */
export function headNodes(
  g: GraphBuilder,
  hidden: string,
  { hiddenSize, norm, scaling = {} }: Pick<HeadOptions, "hiddenSize" | "norm" | "scaling">,
  { weight, bias, product, headBias }: HeadWeights,
): string {
  let scores = product(normed(g, hidden, norm, { width: hiddenSize, weight, bias }));
  if (headBias !== undefined) scores = g.node("Add", [scores, headBias]);
  const times = (x: string, factor: number) => g.node("Mul", [x, g.float32(factor)]);
  if (scaling.logits !== undefined) scores = times(scores, scaling.logits);
  if (scaling.logitCap === undefined) return scores;
  return times(g.node("Tanh", [times(scores, 1 / scaling.logitCap)]), scaling.logitCap);
}

/** Rows of a matrix at length 1, or at 1e-12 of it at least (torch, `normalize`). */
export function unitRows(g: GraphBuilder, matrix: string): string {
  const lengths = g.node("ReduceL2", [matrix, g.int64([1])], { keepdims: 1 });
  return g.node("Div", [matrix, g.node("Max", [lengths, g.float32(1e-12)])]);
}
