import { z } from "zod";
import { checkGold, checkRow } from "../row.ts";
import { answersTo, type Task } from "../task.ts";

const row = z.looseObject({
  goal: z.string(),
  sol1: z.string(),
  sol2: z.string(),
  label: z.coerce.number(),
});

/** PIQA (arXiv 1911.11641), validation. */
export const piqa: Task = {
  name: "piqa",
  metrics: ["acc", "acc_norm"],
  question(value, place) {
    const { goal, sol1, sol2, label } = checkRow(value, row, place);
    const answers = [sol1, sol2];
    return answersTo(`Question: ${goal}\nAnswer:`, answers, checkGold(label, answers, place));
  },
};
