import type { RoutingRule } from "./rule.ts";

/**
 * An expert is worth the mean of g · ‖f(x)‖ over the tokens that go to it, f(x) being what it
 * computes of one, and g the weight that this counts, after the weights of a token were divided by
 * their sum (REAP, arXiv 2510.13999).
 */
export const reap = {
  name: "reap",
  goesBy: "REAP's score, an expert's output times the router's weight for it",
  needs: "routing",
  dimensions: ["experts"],
  isTried: false,
  worth: ({ tokens, weighted }) => weighted.map((sum, i) => tokens[i] > 0 ? sum / tokens[i] : 0),
} as const satisfies RoutingRule;
