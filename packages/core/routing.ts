/**
 * How a mixture of experts (arXiv 1701.06538) sends tokens to a few of its MLPs. The router gives
 * each expert a score; a token goes to the experts with the highest ones, and what they compute is
 * summed with weights that come from the scores.
 */
export interface Routing {
  /** Experts that a token goes to, where so many are there. */
  readonly topK: number;
  /**
   * How scores become weights: "all" is a softmax over all experts, of which those that are chosen
   * keep theirs; "chosen" is a softmax over those alone.
   */
  readonly softmaxOver: "all" | "chosen";
  /** The weights of those that are chosen are divided by their sum. */
  readonly renormalised?: true;
}

/** The same among so many experts: no token goes to more than there are. */
export function routingOf(routing: Routing, experts: number): Routing {
  return routing.topK <= experts ? routing : { ...routing, topK: experts };
}

/**
 * How gate g and up u of an expert go together where g's activation times u is not all (gpt-oss):
 * g′ · sigmoid(α g′) · (u′ + 1), g′ being g cut off above the limit, and u′ being u cut off above
 * it and below its negative.
 */
export interface Gating {
  readonly alpha: number;
  readonly limit: number;
}
