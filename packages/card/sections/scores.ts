import { formatPerplexity } from "@lopper/core";
import type { Estimate } from "@lopper/evaluation";
import type { CardFacts, ScoredTask } from "../facts.ts";
import { plainText, table } from "../markdown.ts";

/** Tasks and further texts, where somebody measured them. */
export function scoresSection({ scores }: CardFacts): string | null {
  if (scores === null) return null;
  const { tasks, texts } = scores;
  const parts = [
    tasks.length > 0 && table(
      ["task", "measure", "questions", "dense model", "this model", "change", "95 % interval"],
      tasks.map((scored) => [
        plainText(scored.task),
        plainText(scored.metric),
        scored.questions === scored.available
          ? count(scored.questions)
          : `${count(scored.questions)} of ${count(scored.available)}`,
        figure(scored, scored.dense),
        figure(scored, scored.pruned),
        ...(scored.metric === "perplexity"
          ? estimated(scored.difference, factor)
          : estimated(scored.difference, points)),
      ]),
    ),
    texts.length > 0 && table(
      ["perplexity", "tokens", "dense model", "this model", "change", "95 % interval"],
      texts.map(({ text, tokens, dense, pruned, ratio }) => [
        plainText(text),
        count(tokens),
        formatPerplexity(dense),
        formatPerplexity(pruned),
        ...(ratio ? estimated(ratio, factor) : ["–", "–"]),
      ]),
    ),
  ].filter((part) => part !== false);
  if (parts.length === 0) return null;
  return `## How good it is

${parts.join("\n\n")}

Shares of right answers are in per cent. A change is of the same questions, or windows of text, and its interval covers the true one in 95 of 100 samples.`;
}

function figure({ metric }: ScoredTask, value: number): string {
  return metric === "perplexity" ? formatPerplexity(value) : (100 * value).toFixed(1);
}

function estimated(
  { value, low, high }: Estimate,
  format: (n: number) => string,
): readonly [string, string] {
  return [
    format(value),
    low === null || high === null ? "–" : `${format(low)} to ${format(high)}`,
  ];
}

/** A difference of shares in points of a hundred, with its sign. */
function points(share: number): string {
  return `${share < 0 ? "−" : "+"}${Math.abs(100 * share).toFixed(1)}`;
}

function factor(ratio: number): string {
  return `×${ratio.toFixed(3)}`;
}

function count(n: number): string {
  return n.toLocaleString("en-US");
}
