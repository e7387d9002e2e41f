import {
  formatBytes,
  formatChange,
  formatCount,
  formatMilliseconds,
  formatPerplexity,
} from "@lopper/core";
import type { CardFacts } from "../facts.ts";
import { plainText, table } from "../markdown.ts";
import { baseModel } from "./base_model.ts";

/** What it is, how large, and how good on the texts of the run. */
export function sizeSection({ source, sizes, texts, method }: CardFacts): string {
  const { calibration, heldOut } = texts;
  const row = (
    what: string,
    { dense, pruned }: { readonly dense: number; readonly pruned: number },
    format: (n: number) => string,
  ) => [what, format(dense), format(pruned), formatChange(dense, pruned)];
  const rows = [
    row("parameters", sizes.parameters, formatCount),
    row("weights", sizes.bytes, formatBytes),
    row("perplexity, calibration text", calibration.perplexity, formatPerplexity),
    row("perplexity, held-out text", heldOut.perplexity, formatPerplexity),
    ...heldOut.texts.map(({ name, perplexity }) =>
      row(`of it ${plainText(name)}`, perplexity, formatPerplexity)
    ),
    ...(method.milliseconds
      ? [row("a generated token", method.milliseconds, formatMilliseconds)]
      : []),
  ];
  return `A smaller ${baseModel(source)}: a part of its weights, found without training by Lopper ${
    plainText(method.version)
  }.

${table(["", "dense model", "this model", "change"], rows)}

The calibration text decided what went, so its figure flatters; the held-out text decided nothing. Calibration: ${
    plainText(calibration.name)
  }; held out: ${
    plainText(heldOut.name)
  }. Perplexities are of sequences of ${calibration.tokens} tokens${
    heldOut.tokens === calibration.tokens ? "" : `, on held-out text of ${heldOut.tokens}`
  }.${method.milliseconds ? " Times are of the machine that pruned it." : ""}`;
}
