import { EvaluationError } from "@lopper/core";
import type { z } from "zod";

/**
 * @throws {EvaluationError} naming the first field that is not of the schema's form, and where the
 *   row stands.
 */
export function checkRow<T>(row: unknown, schema: z.ZodType<T>, place: string): T {
  const result = schema.safeParse(row);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0];
  const field = path.length === 0 ? "the row" : `field ${path.join(".")}`;
  throw new EvaluationError(`${place}: ${field}: ${message}`);
}

/** @throws {EvaluationError} unless `gold` is the number of one of the answers. */
export function checkGold(gold: number, answers: readonly unknown[], place: string): number {
  if (Number.isInteger(gold) && gold >= 0 && gold < answers.length) return gold;
  throw new EvaluationError(
    `${place}: the right answer is number ${gold} of ${answers.length}, counted from 0`,
  );
}
