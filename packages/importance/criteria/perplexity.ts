import type { TextCriterion } from "./criterion.ts";

/** The NLL of the text, as published. */
export const perplexity = {
  name: "perplexity",
  is: "of the text, as published",
  note: null,
  needs: "text",
  loss: (read) => read.nll(),
} as const satisfies TextCriterion;
