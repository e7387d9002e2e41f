import { z } from "zod";
import { pythonCapitalize, pythonStrip } from "../python_text.ts";
import { checkGold, checkRow } from "../row.ts";
import { answersTo, type Task } from "../task.ts";

const original = z.looseObject({
  activity_label: z.string(),
  ctx_a: z.string(),
  ctx_b: z.string(),
  endings: z.array(z.string()).min(2),
  label: z.coerce.number(),
});
/** As other tools pass it on, with the clean-up done. */
const cleaned = z.looseObject({
  query: z.string(),
  choices: z.array(z.string()).min(2),
  gold: z.coerce.number(),
});

/** HellaSwag (arXiv 1905.07830), validation. */
export const hellaswag: Task = {
  name: "hellaswag",
  metrics: ["acc", "acc_norm"],
  question(value, place) {
    if (cleaned.safeParse(value).success) {
      const { query, choices, gold } = checkRow(value, cleaned, place);
      return answersTo(query, choices, checkGold(gold, choices, place));
    }
    const { activity_label, ctx_a, ctx_b, endings, label } = checkRow(value, original, place);
    const context = cleanUp(`${activity_label}: ${ctx_a} ${pythonCapitalize(ctx_b)}`);
    return answersTo(context, endings.map(cleanUp), checkGold(label, endings, place));
  },
};

/**
 * Takes out the markup that WikiHow articles left behind. The order of the steps matters, and
 * nothing is stripped at the end.
 */
function cleanUp(text: string): string {
  return pythonStrip(text)
    .replaceAll(" [title]", ". ")
    .replace(/\[[^\n]*?\]/g, "")
    .replaceAll("  ", " ");
}
