import type { MeasuredModel, ModelEvaluation } from "@lopper/evaluation";
import { type Estimate, pairedDifference, perplexityRatio } from "@lopper/evaluation";
import type { MetricName } from "@lopper/evaluation";
import { agreement, type LogitAgreement, type PassageLogits } from "./held_out_logits.ts";
import type { ModelSpeed } from "./model_speed.ts";

/** Models side by side. */
export interface Comparison {
  readonly kind: "lopper-comparison";
  readonly schema: 1;
  /** Of Lopper. */
  readonly version: string;
  /**
   * Tokens of the sequence over which multiply-accumulates are a mean, and of the prompt whose
   * speed is measured.
   */
  readonly promptTokens: number;
  /** Tokens that follow it one by one. */
  readonly decodeTokens: number;
  readonly models: readonly ComparedModel[];
}

export interface ComparedModel extends ModelEvaluation, ModelSize {
  readonly speed: ModelSpeed | null;
  /** Null for the first model itself. */
  readonly againstFirst: AgainstFirst | null;
}

export interface ModelSize {
  /** Of the weights in the checkpoint. */
  readonly bytes: number;
  /** Multiply-accumulates, LM head included. */
  readonly macsPerToken: number;
}

/** What a model does otherwise than the first one, on the same questions and texts. */
export interface AgainstFirst {
  /** Of each text the ratio of perplexities, null where the models read other tokens. */
  readonly texts: readonly { readonly text: string; readonly perplexityRatio: Estimate | null }[];
  /** Of each task the differences of shares, and for perplexity the ratio. */
  readonly tasks: readonly {
    readonly task: string;
    readonly differences: Readonly<Partial<Record<MetricName, Estimate>>>;
  }[];
  /** Null where the models read other tokens. */
  readonly predictions: LogitAgreement | null;
}

/** Everything that was found of one model. */
export interface ModelFindings {
  readonly measured: MeasuredModel;
  readonly predictions: PassageLogits;
}

export function againstFirst(first: ModelFindings, other: ModelFindings): AgainstFirst {
  const predictions = agreement(first.predictions, other.predictions);
  return {
    texts: first.measured.evaluation.texts.map(({ text, tokens, seqLen }, i) => {
      const { evaluation, windowNll } = other.measured;
      // Where a passage has the same tokens, the whole text has.
      const same = predictions !== null && evaluation.texts[i].tokens === tokens &&
        evaluation.texts[i].seqLen === seqLen;
      return {
        text,
        perplexityRatio: same ? perplexityRatio(first.measured.windowNll[i], windowNll[i]) : null,
      };
    }),
    tasks: first.measured.evaluation.tasks.map(({ task, metrics }, i) => ({
      task,
      differences: Object.fromEntries(
        (Object.keys(metrics) as MetricName[]).map((metric) => [
          metric,
          difference(
            metric,
            first.measured.outcomes[i][metric]!,
            other.measured.outcomes[i][metric]!,
          ),
        ]),
      ),
    })),
    predictions,
  };
}

function difference(
  metric: MetricName,
  first: readonly number[],
  other: readonly number[],
): Estimate {
  if (metric !== "perplexity") return pairedDifference(first, other);
  const losses = (logLikelihoods: readonly number[]) => logLikelihoods.map((value) => -value);
  return perplexityRatio(losses(first), losses(other));
}
