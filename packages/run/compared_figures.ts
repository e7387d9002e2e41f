import { formatBytes, formatCount, formatMilliseconds, formatPerplexity } from "@lopper/core";
import type { DenseAndPruned } from "@lopper/evaluation";
import type { RunRecord } from "./schemas/record.ts";

/** A figure of the dense model beside the same of the pruned one, and how people read it. */
export interface ComparedFigure extends DenseAndPruned {
  readonly what: string;
  readonly format: (value: number) => string;
}

/**
 * What a run changed: size, speed where that was to be saved, and perplexity, that of several
 * held-out texts by text, too.
 */
export function comparedFigures(
  { parameters, bytes, latency, perplexity, lossIncrease }: Pick<
    RunRecord,
    "parameters" | "bytes" | "latency" | "perplexity" | "lossIncrease"
  >,
): readonly ComparedFigure[] {
  const figure = (what: string, of: DenseAndPruned, format: ComparedFigure["format"]) => ({
    what,
    ...of,
    format,
  });
  return [
    figure("parameters", parameters, formatCount),
    figure("weights", bytes, formatBytes),
    ...(latency
      ? [
        figure("a token, predicted", latency.predicted, formatMilliseconds),
        figure("a token, measured", latency.measured, formatMilliseconds),
      ]
      : []),
    figure("perplexity, calibration text", perplexity.calibration, formatPerplexity),
    figure("perplexity, held-out text", perplexity.heldOut, formatPerplexity),
    ...heldOutTexts({ lossIncrease }).map(({ name, perplexity }) =>
      figure(`  of it ${name}`, perplexity, formatPerplexity)
    ),
  ];
}

/** Perplexities of each of several held-out texts; none where it is one. */
export function heldOutTexts({ lossIncrease }: Pick<RunRecord, "lossIncrease">) {
  return (lossIncrease.heldOut.texts ?? []).map(({ name, dense, pruned }) => ({
    name,
    perplexity: { dense: Math.exp(dense), pruned: Math.exp(pruned) },
  }));
}
