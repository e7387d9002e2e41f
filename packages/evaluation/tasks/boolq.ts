import { z } from "zod";
import { checkGold, checkRow } from "../row.ts";
import { answersTo, type Task } from "../task.ts";

const row = z.looseObject({
  passage: z.string(),
  question: z.string(),
  /** SuperGLUE's; the data set's own form says `answer`. */
  label: z.union([z.boolean(), z.number(), z.bigint(), z.enum(["true", "false"])]).optional(),
  answer: z.boolean().optional(),
});
const ANSWERS = ["no", "yes"] as const;

/** BoolQ (arXiv 1905.10044), validation. */
export const boolQ: Task = {
  name: "boolq",
  metrics: ["acc"],
  question(value, place) {
    const { passage, question, label, answer } = checkRow(value, row, place);
    const given = label ?? answer;
    const gold = typeof given === "string" ? Number(given === "true") : Number(given);
    const context = `${passage}\nQuestion: ${question}?\nAnswer:`;
    return answersTo(context, ANSWERS, checkGold(gold, ANSWERS, place));
  },
};
