import { countParameters, denseShape } from "@lopper/core";
import { residentCopy } from "@lopper/runtime";
import { tokensAround } from "@lopper/tokenizers";
import { evaluateTask, prepareTask, questionsDigest } from "./evaluate_task.ts";
import {
  type AskedTask,
  BATCH_TOKENS,
  type Measures,
  type Measuring,
  type NamedText,
  type OpenedModel,
} from "./measures.ts";
import type { Outcomes } from "./metrics.ts";
import type { MeasuredModel, TaskEvaluation, TextEvaluation } from "./model_evaluation.ts";
import { type SequenceScorer, textPerplexity, textWindows } from "./perplexity.ts";
import { RequestScorer } from "./request_scorer.ts";
import { sequenceScorer } from "./sequence_scorer.ts";

/**
 * Measures everything that was asked for.
 * @throws {EvaluationError} naming what cannot be measured, and what the signal throws, when
 *   something was scored.
 */
export async function evaluateModel(
  open: OpenedModel,
  { texts, tasks }: Measures,
  measuring: Measuring,
): Promise<MeasuredModel> {
  const { model, title, digest, backend } = open;
  const { name, engine, threads } = backend.description;
  const measuredTexts = await measureTexts(open, texts, measuring);
  const measuredTasks = [];
  for (const asked of tasks) measuredTasks.push(await measureTask(open, asked, measuring));
  return {
    evaluation: {
      model: title,
      digest,
      parameters: countParameters(model.architecture).total,
      backend: { name, engine, threads },
      bos: measuring.bos,
      startTokens: (await tokensAround(open.tokenizer)).before.length,
      texts: measuredTexts.map(({ evaluation }) => evaluation),
      tasks: measuredTasks.map(({ evaluation }) => evaluation),
    },
    windowNll: measuredTexts.map(({ windowNll }) => windowNll),
    outcomes: measuredTasks.map(({ outcomes }) => outcomes),
  };
}

interface MeasuredText {
  readonly evaluation: TextEvaluation;
  readonly windowNll: readonly number[];
}

interface MeasuredTask {
  readonly evaluation: TaskEvaluation;
  readonly outcomes: Outcomes;
}

async function measureTexts(
  open: OpenedModel,
  texts: readonly NamedText[],
  measuring: Measuring,
): Promise<MeasuredText[]> {
  if (texts.length === 0) return [];
  const { decoder } = open;
  const shape = denseShape(decoder.blocks);
  await using resident = residentCopy(decoder);
  const scorer: SequenceScorer = resident
    ? { nll: (sequences) => resident.nll(shape, sequences) }
    : sequenceScorer(decoder);
  const results: MeasuredText[] = [];
  for (const text of texts) results.push(await measureText(open, scorer, text, measuring));
  return results;
}

async function measureText(
  { title, tokenizer, length, log }: OpenedModel,
  scorer: SequenceScorer,
  { name, text }: NamedText,
  { bos, teller, signal }: Measuring,
): Promise<MeasuredText> {
  const windows = await textWindows(text, tokenizer, { length, bos }, name);
  const { known, append } = await log.windows(name, windows.windows);
  const { windowNll, length: seqLen, ...result } = await textPerplexity(scorer, windows, {
    known,
    async onScored(window, nll) {
      await append(window, nll);
      signal?.throwIfAborted();
    },
    onProgress: (done, total) => teller.progress(`${title}, ${name}`, done, total),
  });
  teller.stop();
  return { evaluation: { text: name, ...result, seqLen }, windowNll };
}

async function measureTask(
  { model, title, tokenizer, decoder, log }: OpenedModel,
  { task, questions, available }: AskedTask,
  { bos, teller, signal }: Measuring,
): Promise<MeasuredTask> {
  const prepared = await prepareTask(task, questions, tokenizer, {
    maxLength: model.architecture.maxPositions,
    addSpecialTokens: bos !== "none",
  });
  if (prepared.shortened > 0) {
    teller.warn(
      `${title}, ${task.name}: ${prepared.shortened} of ${questions.length} questions have more than the ` +
        `${model.architecture.maxPositions} tokens that the model takes; the beginnings of their contexts are left out`,
    );
  }
  const { known, append } = await log.questions(task.name, prepared.requests);
  const scorer = new RequestScorer(decoder, { batchTokens: BATCH_TOKENS });
  const [before, started] = [scorer.blockTokens, performance.now()];
  const result = await evaluateTask(scorer, prepared, {
    known,
    async onScored(scored) {
      await append(scored);
      signal?.throwIfAborted();
    },
    onProgress: ({ done, total }) => teller.progress(`${title}, ${task.name}`, done, total),
  });
  teller.stop();
  const evaluation: TaskEvaluation = {
    task: task.name,
    questions: result.questions,
    available,
    requests: result.requests,
    shortened: prepared.shortened,
    dataDigest: await questionsDigest(questions),
    metrics: result.metrics,
    blockTokens: scorer.blockTokens - before,
    seconds: (performance.now() - started) / 1000,
  };
  return { evaluation, outcomes: result.outcomes };
}
