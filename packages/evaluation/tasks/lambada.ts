import { z } from "zod";
import { checkRow } from "../row.ts";
import type { Task } from "../task.ts";

const row = z.looseObject({ text: z.string() });

/** LAMBADA (arXiv 1606.06031) in OpenAI's version, test: the last word of a passage. */
export const lambada: Task = {
  name: "lambada_openai",
  metrics: ["acc", "perplexity"],
  question(value, place) {
    const words = checkRow(value, row, place).text.split(" ");
    const last = words.pop();
    return {
      kind: "cloze",
      requests: [{ context: words.join(" "), continuation: ` ${last}` }],
    };
  },
};
