import { EvaluationError } from "@lopper/core";
import { z } from "zod";
import { pythonStrip } from "../python_text.ts";
import { checkGold, checkRow } from "../row.ts";
import { answersBefore, type Task } from "../task.ts";

const row = z.looseObject({
  sentence: z.string(),
  option1: z.string(),
  option2: z.string(),
  answer: z.coerce.number(),
});

/**
 * WinoGrande (arXiv 1907.10641), validation: what follows the blank is scored after either filling
 * of it.
 */
export const winogrande: Task = {
  name: "winogrande",
  metrics: ["acc"],
  question(value, place) {
    const { sentence, option1, option2, answer } = checkRow(value, row, place);
    const blank = sentence.indexOf("_");
    if (blank < 0) throw new EvaluationError(`${place}: its sentence has no blank (_)`);
    const contexts = [option1, option2].map((option) => sentence.slice(0, blank) + option);
    const rest = pythonStrip(sentence.slice(blank + 1));
    return answersBefore(contexts, rest, checkGold(answer - 1, contexts, place));
  },
};
