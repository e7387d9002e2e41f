import { formatBytes, formatCount, formatMilliseconds, formatPerplexity } from "@lopper/core";
import type { DenseAndPruned } from "@lopper/evaluation";
import type { RunRecord } from "./schemas/record.ts";

/** A figure of the dense model beside the same of the pruned one, and how people read it. */
export interface ComparedFigure extends DenseAndPruned {
  readonly what: string;
  readonly format: (value: number) => string;
}

/** What a run changed: size, speed where that was to be saved, and perplexity. */
export function comparedFigures(
  { parameters, bytes, latency, perplexity }: Pick<
    RunRecord,
    "parameters" | "bytes" | "latency" | "perplexity"
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
  ];
}
