import type { CardScores } from "@lopper/card";
import { EvaluationError, unseal } from "@lopper/core";
import { INPUTS } from "@lopper/core";
import { headline } from "@lopper/evaluation";
import { readInputIfThere } from "@lopper/files";
import type { RunRecord } from "@lopper/run";
import { join } from "node:path";
import { z } from "zod";
import { jsonOrNull } from "../folder/json_or_null.ts";
import { commandLine } from "../../called_as.ts";

/** What `lopper compare` leaves in its folder of scores. */
export const COMPARISON = "comparison.json";

const estimate = z.looseObject({
  value: z.number(),
  low: z.number().nullable(),
  high: z.number().nullable(),
});
const metrics = <T extends z.ZodType>(of: T) =>
  z.looseObject({ acc: of.optional(), acc_norm: of.optional(), perplexity: of.optional() });
const count = z.int().min(0);
const comparison = z.looseObject({
  kind: z.literal("lopper-comparison"),
  models: z.array(z.looseObject({
    model: z.string(),
    digest: z.string(),
    texts: z.array(z.looseObject({ text: z.string(), perplexity: z.number(), tokens: count })),
    tasks: z.array(z.looseObject({
      task: z.string(),
      questions: count,
      available: count,
      metrics: metrics(z.looseObject({ value: z.number() })),
    })),
    againstFirst: z.looseObject({
      texts: z.array(z.looseObject({ perplexityRatio: estimate.nullable() })),
      tasks: z.array(z.looseObject({ differences: metrics(estimate) })),
    }).nullable(),
  })).min(2),
});

/**
 * What a comparison says of a run: its dense model first, its result among the others.
 * @throws {EvaluationError} when the folder holds no comparison, or one of other models.
 */
export async function readScores(folder: string, run: RunRecord): Promise<CardScores> {
  const file = join(folder, COMPARISON);
  const { models } = await readComparison(file);
  const [dense] = models;
  const pruned = models.slice(1).find(({ digest }) => digest === run.prunedDigest);
  if (dense.digest !== run.modelDigest || !pruned?.againstFirst) {
    const [what, digest] = dense.digest !== run.modelDigest
      ? ["first model is not the one that the run pruned", run.modelDigest]
      : ["models are not the run's result", run.prunedDigest];
    const command = commandLine(`compare DENSE PRUNED --out ${folder}`);
    throw new EvaluationError(
      `${file}: its ${what} (${digest}); ${command} makes one that fits`,
    );
  }
  const { againstFirst } = pruned;
  return {
    tasks: dense.tasks.map(({ task, questions, available, metrics }, i) => {
      const metric = headline(metrics);
      return {
        task,
        metric,
        questions,
        available,
        dense: metrics[metric]!.value,
        pruned: pruned.tasks[i].metrics[metric]!.value,
        difference: againstFirst.tasks[i].differences[metric]!,
      };
    }),
    texts: dense.texts.map(({ text, tokens, perplexity }, i) => ({
      text,
      tokens,
      dense: perplexity,
      pruned: pruned.texts[i].perplexity,
      ratio: againstFirst.texts[i].perplexityRatio,
    })),
  };
}

async function readComparison(file: string): Promise<z.infer<typeof comparison>> {
  const text = await readInputIfThere(file, INPUTS.comparison);
  if (text === null) {
    const command = commandLine("compare DENSE PRUNED --out FOLDER");
    throw new EvaluationError(`${file}: there is no such file; ${command} writes it`);
  }
  const json = jsonOrNull(text);
  const sealed = await unseal(json);
  if (
    !sealed && comparison.shape.kind.safeParse((json as { kind?: unknown } | null)?.kind).success
  ) {
    throw new EvaluationError(
      `${file} was changed since Lopper wrote it, or is of an earlier version: its checksum does not fit`,
    );
  }
  const parsed = comparison.safeParse(sealed?.value);
  if (parsed.success && sameMeasures(parsed.data)) return parsed.data;
  const [issue] = parsed.success ? [] : parsed.error.issues;
  const where = issue && issue.path.length > 0
    ? `: at ${issue.path.join(".")}: ${issue.message}`
    : "";
  throw new EvaluationError(`${file} is not a comparison of Lopper${where}`);
}

/** Whether all models were measured by the same things. */
function sameMeasures({ models: [first, ...others] }: z.infer<typeof comparison>): boolean {
  return others.every(({ texts, tasks, againstFirst }) =>
    texts.length === first.texts.length && againstFirst?.texts.length === first.texts.length &&
    tasks.length === first.tasks.length && againstFirst.tasks.length === first.tasks.length &&
    first.tasks.every(({ metrics }, i) => {
      const name = headline(metrics);
      return metrics[name] && tasks[i].metrics[name] && againstFirst.tasks[i].differences[name];
    })
  );
}
