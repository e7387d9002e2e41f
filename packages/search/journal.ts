import { ResumeError } from "@lopper/core";
import { z } from "zod";
import type { Step } from "./greedy.ts";

const count = z.int().nonnegative();
const name = {
  kind: z.enum(["attention", "mlp", "mlp_channels", "attention_heads"]),
  layer: count,
  width: count,
};
const stepSchema: z.ZodType<Step> = z.strictObject({
  step: count,
  stage: z.enum(["blocks", "mlp_channels", "attention_heads"]),
  taken: z.strictObject(name),
  ppl: z.number(),
  ratio: z.number(),
  candidates: z.array(
    z.strictObject({ ...name, ppl: z.number().or(z.null().transform(() => NaN)) }),
  ),
  blockTokens: z.strictObject({ spent: z.number(), full: z.number() }),
  seconds: z.number(),
});

/** One line of journal.jsonl, without the line end. A perplexity that is not finite is written as null. */
export function stepToLine(step: Step): string {
  return JSON.stringify(step);
}

/**
 * The steps of a journal's complete lines.
 * @throws {ResumeError} naming the line that is not a step: only the last line of a killed run can be torn.
 */
export function parseJournal(lines: readonly string[], file: string): readonly Step[] {
  return lines.map((line, i) => {
    let json: unknown;
    try {
      json = JSON.parse(line);
    } catch (error) {
      throw new ResumeError(`${file}, line ${i + 1}: not JSON; the journal is damaged`, {
        cause: error,
      });
    }
    const result = stepSchema.safeParse(json);
    if (result.success) return result.data;
    const { path, message } = result.error.issues[0];
    throw new ResumeError(`${file}, line ${i + 1}: at ${path.join(".")}: ${message}`);
  });
}
