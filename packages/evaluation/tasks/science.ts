import { EvaluationError } from "@lopper/core";
import { z } from "zod";
import { checkRow } from "../row.ts";
import { answersTo, type Task } from "../task.ts";

/** As the publisher writes it. */
const publisher = z.looseObject({
  question: z.looseObject({
    stem: z.string(),
    choices: z.array(z.looseObject({ text: z.string(), label: z.string() })).min(2),
  }),
  answerKey: z.string(),
});
const columns = z.looseObject({ text: z.array(z.string()).min(2), label: z.array(z.string()) });
/** As the hub has it: answers by columns, the question's text in a field whose name differs. */
const hub = z.looseObject({
  question: z.string().optional(),
  question_stem: z.string().optional(),
  choices: columns,
  answerKey: z.string(),
});

interface ScienceRow {
  readonly stem: string;
  readonly answers: readonly string[];
  readonly gold: number;
}

/**
 * A row of ARC or OpenBookQA. Labels are letters or digits, so the right answer is looked up among
 * them.
 */
function scienceRow(value: unknown, place: string): ScienceRow {
  const { stem, answers, labels, key } = readRow(value, place);
  const gold = labels.indexOf(key.trimStart());
  if (gold < 0 || labels.length !== answers.length) {
    throw new EvaluationError(
      `${place}: answerKey is ${JSON.stringify(key)} and the labels are ${labels.join(", ")}`,
    );
  }
  return { stem, answers, gold };
}

function readRow(value: unknown, place: string) {
  if (publisher.safeParse(value).success) {
    const { question, answerKey } = checkRow(value, publisher, place);
    return {
      stem: question.stem,
      answers: question.choices.map(({ text }) => text),
      labels: question.choices.map(({ label }) => label),
      key: answerKey,
    };
  }
  const { question, question_stem, choices, answerKey } = checkRow(value, hub, place);
  const stem = question_stem ?? question;
  if (stem === undefined) throw new EvaluationError(`${place}: there is no field question`);
  return { stem, answers: choices.text, labels: choices.label, key: answerKey };
}

function arc(name: string): Task {
  return {
    name,
    metrics: ["acc", "acc_norm"],
    question(value, place) {
      const { stem, answers, gold } = scienceRow(value, place);
      return answersTo(`Question: ${stem}\nAnswer:`, answers, gold);
    },
  };
}

/** ARC (arXiv 1803.05457), test, its two parts. */
export const arcEasy = arc("arc_easy");
export const arcChallenge = arc("arc_challenge");

/** OpenBookQA (arXiv 1809.02789), test. */
export const openBookQa: Task = {
  name: "openbookqa",
  metrics: ["acc", "acc_norm"],
  question(value, place) {
    const { stem, answers, gold } = scienceRow(value, place);
    return answersTo(stem, answers, gold);
  },
};
