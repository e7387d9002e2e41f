import { ResumeError } from "@lopper/core";
import { RANKING_NAMES } from "@lopper/importance";
import { z } from "zod";
import type { RankingLine } from "./ranker.ts";
import type { Measure } from "./gauge.ts";
import type { History } from "./history.ts";
import { changesSchema, keySchema as key, nameSchema as name } from "./change_schema.ts";
import { count, lossy } from "./json_values.ts";
import type { RepairLine } from "./repair_line.ts";
import type { Evidence } from "./scores.ts";
import type { Step } from "./step.ts";
import type { SwapLine } from "./swap/swap_line.ts";

const cost = z.strictObject({ blockTokens: z.number(), seconds: z.number() });

const stepSchema: z.ZodType<Step> = z.strictObject({
  type: z.literal("step"),
  step: count,
  stage: name,
  taken: z.strictObject({ key, changes: changesSchema }),
  ppl: z.number(),
  ratio: z.number(),
  latency: z.number().optional(),
  candidates: z.array(z.strictObject({ key, ppl: lossy, sequences: count })),
  blockTokens: z.strictObject({ spent: z.number(), full: z.number() }),
  seconds: z.number(),
});
const evidenceSchema: z.ZodType<Evidence> = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("score"),
    step: count,
    of: key,
    sequences: z.array(count),
    nll: z.array(lossy),
    cost,
  }).check(({ value, issues }) => {
    const { nll, sequences } = value;
    if (nll.length === sequences.length) return;
    const message = `${nll.length} values for ${sequences.length} sequences`;
    issues.push({ code: "custom", message, path: ["nll"], input: value });
  }),
  z.strictObject({
    type: z.literal("perturbations"),
    step: count,
    values: z.array(lossy),
    cost,
  }),
]);
const measureSchema: z.ZodType<Measure> = z.strictObject({
  type: z.literal("measure"),
  steps: count,
  swap: count.optional(),
  on: z.enum(["held_out", "block", "width"]),
  nll: z.array(lossy),
  cost,
});

const rankingSchema: z.ZodType<RankingLine> = z.strictObject({
  type: z.literal("ranking"),
  stage: count,
  dimension: name,
  chosen: z.enum(RANKING_NAMES),
  tried: z.array(z.strictObject({ ranking: z.enum(RANKING_NAMES), nll: z.array(lossy) })),
  units: z.array(z.array(count).nullable()),
  cost,
});

const judged = { before: z.array(lossy), after: z.array(lossy), kept: z.boolean(), cost };
const repairSchema: z.ZodType<RepairLine> = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("repair"),
    steps: count,
    layer: count,
    kind: z.enum(["attention", "mlp"]),
    folded: count,
    lambda: z.number(),
    ...judged,
  }),
  z.strictObject({ type: z.literal("verdict"), steps: count, ...judged }),
]);

const losses = { before: z.array(lossy), after: z.array(lossy) };
const swapSchema: z.ZodType<SwapLine> = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("swap"),
    steps: count,
    restored: key,
    removed: key.nullable(),
    ratio: z.number(),
    ...losses,
    aside: z.strictObject(losses).nullable(),
    kept: changesSchema.nullable(),
    cost,
  }),
  z.strictObject({
    type: z.literal("swaps"),
    steps: count,
    tried: count,
    kept: count,
    ...losses,
    cost,
  }),
]);

/** A line of the journal. */
export type JournalEntry = Step | Evidence | Measure | RankingLine | RepairLine | SwapLine;

/** One line of journal.jsonl, without the line end. A number that is not finite is written as null. */
export function toJournalLine(entry: JournalEntry): string {
  return JSON.stringify(entry);
}

/**
 * What a journal's complete lines say.
 * @throws {ResumeError} naming the line that says nothing: only the last line of a killed run can be torn.
 */
export function parseJournal(lines: readonly string[], file: string): History {
  const steps: Step[] = [];
  const evidence: Evidence[] = [];
  const measures: Measure[] = [];
  const rankings: RankingLine[] = [];
  const repairs: RepairLine[] = [];
  const swaps: SwapLine[] = [];
  lines.forEach((line, i) => {
    let json: unknown;
    try {
      json = JSON.parse(line);
    } catch (error) {
      throw new ResumeError(`${file}, line ${i + 1}: not JSON; the journal is damaged`, {
        cause: error,
      });
    }
    const type = (json as { type?: unknown } | null)?.type;
    const schema = type === "step"
      ? stepSchema
      : type === "measure"
      ? measureSchema
      : type === "ranking"
      ? rankingSchema
      : type === "repair" || type === "verdict"
      ? repairSchema
      : type === "swap" || type === "swaps"
      ? swapSchema
      : evidenceSchema;
    const result = (schema as z.ZodType<JournalEntry>).safeParse(json);
    if (!result.success) {
      const { path, message } = result.error.issues[0];
      throw new ResumeError(`${file}, line ${i + 1}: at ${path.join(".")}: ${message}`);
    }
    if (result.data.type === "step") steps.push(result.data);
    else if (result.data.type === "measure") measures.push(result.data);
    else if (result.data.type === "ranking") rankings.push(result.data);
    else if (result.data.type === "repair" || result.data.type === "verdict") {
      repairs.push(result.data);
    } else if (result.data.type === "swap" || result.data.type === "swaps") {
      swaps.push(result.data);
    } else evidence.push(result.data);
  });
  return { steps, evidence, measures, rankings, repairs, swaps };
}
