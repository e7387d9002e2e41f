import type { RoutingRule } from "./rule.ts";

/**
 * An expert is worth the mean of ‖f(x)‖² over the tokens that go to it, f(x) being what it computes
 * of one (MSAN, arXiv 2606.15716): what the mixture loses where one of its own is missing. One that
 * no token goes to is worth nothing.
 */
export const msan = {
  name: "msan",
  goesBy: "the mean energy of an expert's output over the tokens that go to it",
  needs: "routing",
  dimensions: ["experts"],
  isTried: false,
  worth: ({ tokens, squares }) => squares.map((sum, i) => tokens[i] > 0 ? sum / tokens[i] : 0),
} as const satisfies RoutingRule;
