/**
 * The lines of a journal: what a run decided and found out. A number that is not finite is written
 * as null.
 */
import { RANKING_NAMES } from "@lopper/importance";
import { z } from "zod";
import { changesSchema, keySchema as key, nameSchema as name } from "./change_schema.ts";
import { count, list, lossy } from "./json_values.ts";

const rankings: readonly string[] = RANKING_NAMES;
const ranking = name.refine((name) => rankings.includes(name), "there is no such ranking");
/** Work that a line stands for. */
const cost = z.strictObject({ blockTokens: z.number(), seconds: z.number() }).readonly();
/** Mean NLL of each sequence, in nats per token. */
const nll = list(lossy);

/** A candidate, and its perplexity on the sequences that it was scored on; NaN on none. */
const scoredCandidate = z.strictObject({ key, ppl: lossy, sequences: count }).readonly();
/** What a step took, by its name among the candidates and by the units that went. */
const takenCandidate = z.strictObject({ key, changes: changesSchema }).readonly();

/** A taken candidate with everything that decided it. */
const step = z.strictObject({
  type: z.literal("step"),
  step: count,
  stage: name,
  taken: takenCandidate,
  /** Perplexity of the taken candidate on all of the stage's samples. */
  ppl: z.number(),
  /** Published pruning ratio after the step, in per cent. */
  ratio: z.number(),
  /** Milliseconds that a token is predicted to take then, where that is what is to be saved. */
  latency: z.number().optional(),
  candidates: list(scoredCandidate),
  blockTokens: z.strictObject({ spent: z.number(), full: z.number() }).readonly(),
  seconds: z.number(),
});

/** A candidate, or the base plan itself ("base"), scored on some sequences. */
const measurement = z.strictObject({
  type: z.literal("score"),
  step: count,
  of: key,
  /** What it narrows was fitted meanwhile. */
  fitted: z.literal(true).optional(),
  /** Numbers of the sequences in the calibration set. */
  sequences: list(count),
  /** Of each. */
  nll,
  cost,
}).check(({ value, issues }) => {
  const { nll, sequences } = value;
  if (nll.length === sequences.length) return;
  const message = `${nll.length} values for ${sequences.length} sequences`;
  issues.push({ code: "custom", message, path: ["nll"], input: value });
});

/** How far each candidate of a step moves the output of its block. */
const perturbations = z.strictObject({
  type: z.literal("perturbations"),
  step: count,
  /** In the order of the step's candidates. */
  values: list(lossy),
  cost,
});

/** A whole model measured. */
const measure = z.strictObject({
  type: z.literal("measure"),
  /** Steps that were taken until then; 0 for the dense model. */
  steps: count,
  /** For what a swap would leave: how many were tried after these steps before it. */
  swap: count.optional(),
  /** Text that decides nothing, or the samples of a kind of stage. */
  on: z.enum(["held_out", "block", "width"]),
  nll,
  cost,
});

/** The ranking of one dimension's units from some step on, and why. */
const rankingLine = z.strictObject({
  type: z.literal("ranking"),
  /** Number of the stage that begins with it. */
  stage: count,
  dimension: name,
  /** Name of the ranking. */
  chosen: ranking,
  /**
   * On validation sequences, after a trial cut by each ranking; none where only one was asked for.
   */
  tried: list(z.strictObject({ ranking, nll }).readonly()),
  /** For each block all its units, most important first, or null where it lacks the dimension. */
  units: list(list(count).nullable()),
  cost,
});

const losses = { before: nll, after: nll };
/** A refit of one block's output projection that was tried. */
const blockRefit = z.strictObject({
  type: z.literal("refit"),
  /** Steps of the search that it refits. */
  steps: count,
  layer: count,
  kind: name,
  /** Removed blocks behind it, for which it makes up, too. */
  folded: count,
  /** Ridge, as a share of the mean diagonal of the activations' Gram matrix. */
  lambda: z.number(),
  /** On sequences that refits are chosen on. */
  ...losses,
  kept: z.boolean(),
  cost,
});
/** Fits of all narrowed blocks to the dense ones with one ridge, and the best before them. */
const localRefit = z.strictObject({
  type: z.literal("local"),
  steps: count,
  /** As a share of the mean diagonal of a Gram matrix. */
  lambda: z.number(),
  /** Output projections that were fitted. */
  projections: count,
  /** On sequences that refits are chosen on. */
  ...losses,
  kept: z.boolean(),
  cost,
});
/** The test of all refits together, on sequences that chose nothing. */
const recoveryTest = z.strictObject({
  type: z.literal("recovery"),
  steps: count,
  /** Of the local ones alone. */
  local: z.literal(true).optional(),
  ...losses,
  kept: z.boolean(),
  cost,
});

/** A swap that was tried. */
const swapTrial = z.strictObject({
  type: z.literal("swap"),
  /** Steps that the search had taken. */
  steps: count,
  /** What comes back, by the units that its block has then. */
  restored: key,
  /** What goes for it; null where the target is reached without. */
  removed: key.nullable(),
  /** Published pruning ratio after it, in per cent. */
  ratio: z.number(),
  /** On the block samples. */
  ...losses,
  /** On the validation text; null where there is none, or where `after` was against it already. */
  validation: z.strictObject(losses).readonly().nullable(),
  /** What stays of it, by the units that came back and went; null where nothing does. */
  kept: changesSchema.nullable(),
  cost,
});
/**
 * What came of all swaps that were tried for a target: on the block samples, before the first and
 * after the last one.
 */
const swapSummary = z.strictObject({
  type: z.literal("swaps"),
  steps: count,
  tried: count,
  kept: count,
  ...losses,
  /** Of what came after the last swap that was tried. */
  cost,
});

/** A line of the journal. */
export const journalLine = z.discriminatedUnion("type", [
  step,
  measurement,
  perturbations,
  measure,
  rankingLine,
  blockRefit,
  localRefit,
  recoveryTest,
  swapTrial,
  swapSummary,
]);

export type Step = Readonly<z.infer<typeof step>>;
export type TakenCandidate = z.infer<typeof takenCandidate>;
export type Measurement = Readonly<z.infer<typeof measurement>>;
export type Perturbations = Readonly<z.infer<typeof perturbations>>;
export type Evidence = Measurement | Perturbations;
export type Measure = Readonly<z.infer<typeof measure>>;
export type MeasuredText = Measure["on"];
export type RankingLine = Readonly<z.infer<typeof rankingLine>>;
export type BlockRefit = Readonly<z.infer<typeof blockRefit>>;
export type RecoveryTest = Readonly<z.infer<typeof recoveryTest>>;
export type LocalRefit = Readonly<z.infer<typeof localRefit>>;
export type RecoveryLine = BlockRefit | LocalRefit | RecoveryTest;
export type SwapTrial = Readonly<z.infer<typeof swapTrial>>;
export type SwapSummary = Readonly<z.infer<typeof swapSummary>>;
export type SwapLine = SwapTrial | SwapSummary;
export type JournalEntry = Step | Evidence | Measure | RankingLine | RecoveryLine | SwapLine;
