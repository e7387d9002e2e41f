import { z } from "zod";
import { checkGold, checkRow } from "../row.ts";
import { answersBefore, answersTo, type Question, type Task } from "../task.ts";

const choice = z.strictObject({
  context: z.string(),
  choices: z.array(z.string()).min(2),
  answer: z.number().int(),
});
const filled = z.strictObject({
  contexts: z.array(z.string()).min(2),
  continuation: z.string(),
  answer: z.number().int(),
});
const cloze = z.strictObject({ context: z.string(), continuation: z.string() });

/** The lines that a file of an own task may have, for messages and help. */
export const OWN_TASK_FORMS = [
  '{"context": "…", "choices": ["…", "…"], "answer": 0}',
  '{"contexts": ["…", "…"], "continuation": "…", "answer": 0}',
  '{"context": "…", "continuation": "…"}',
] as const;

/**
 * A task that somebody brings along, a line of JSON for each question: one of three forms, one
 * space being put between context and continuation. Answers count from 0. `metrics` follow from the
 * first row.
 */
export function ownTask(name: string, firstRow: unknown): Task {
  const isCloze = cloze.safeParse(firstRow).success;
  // Where the answers stand in the contexts, the continuation's length says nothing about them.
  const isFilled = filled.safeParse(firstRow).success;
  return {
    name,
    metrics: isCloze ? ["acc", "perplexity"] : isFilled ? ["acc"] : ["acc", "acc_norm"],
    question: (row, place) => isCloze ? clozeQuestion(row, place) : choiceQuestion(row, place),
  };
}

function clozeQuestion(row: unknown, place: string): Question {
  const { context, continuation } = checkRow(row, cloze, place);
  return { kind: "cloze", requests: [{ context, continuation: ` ${continuation}` }] };
}

function choiceQuestion(row: unknown, place: string): Question {
  if (filled.safeParse(row).success) {
    const { contexts, continuation, answer } = checkRow(row, filled, place);
    return answersBefore(contexts, continuation, checkGold(answer, contexts, place));
  }
  const { context, choices, answer } = checkRow(row, choice, place);
  return answersTo(context, choices, checkGold(answer, choices, place));
}
