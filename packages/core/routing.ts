/**
 * How a mixture of experts (arXiv 1701.06538) sends tokens to a few of its MLPs. The router gives
 * each expert a score; a token goes to the experts with the highest ones, and what they compute is
 * summed with weights that come from the scores.
 *
 * Where the block has a weight `correction`, a number for each expert is added to what the score
 * became, for the choice alone (DeepSeek-V3, arXiv 2412.19437, section 2.1.2). Where its experts
 * lie in groups, a token goes to experts of the best groups alone: those whose two best experts
 * have the most together (ibid.).
 */
export interface Routing {
  /** Experts that a token goes to, where so many are there. */
  readonly topK: number;
  /**
   * How scores become weights: "all" is a softmax over all experts, of which those that are chosen
   * keep theirs; "chosen" is a softmax over those alone; null is a sigmoid of each score by itself.
   */
  readonly softmaxOver: "all" | "chosen" | null;
  /** The weights of those that are chosen are divided by their sum. */
  readonly renormalised?: true;
  /** What that sum counts at least. */
  readonly minSum?: number;
  /** What weights are multiplied with in the end; 1 unless said. */
  readonly factor?: number;
  /** Groups of experts that a token goes to; all of them unless said. */
  readonly topGroups?: number;
}

/** The name of the weight, a number for each expert, that is added for the choice alone. */
export const CORRECTION = "correction";

/** Experts of a group by which it is compared with others. */
export const BEST_OF_GROUP = 2;

/**
 * The same among so many experts: no token goes to more than there are in the groups that it goes
 * to.
 * @param groups in which they lie, equally many in each.
 */
export function routingOf(routing: Routing, experts: number, groups = 1): Routing {
  const { topK, topGroups = groups } = routing;
  const most = experts / groups * topGroups;
  return topK <= most ? routing : { ...routing, topK: most };
}

/** Experts that have to stay, so that a token still goes to as many as before. */
export function fewestExperts({ topK, topGroups }: Routing, groups = 1): number {
  if (groups === 1) return topK;
  return groups * Math.max(BEST_OF_GROUP, Math.ceil(topK / (topGroups ?? groups)));
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
