import { PlanError, type PrunePlan } from "@lopper/core";
import { DEMO_MODEL_NAME } from "@lopper/demo-model";
import { hubModelName } from "@lopper/files";
import type { ReportRun } from "@lopper/report";
import type { History } from "@lopper/search";
import type { RunRecord } from "@lopper/run";
import { basename, join } from "node:path";
import { readScores } from "../measuring/comparison_file.ts";
import { checkedJournal, readRunPlan } from "../folder/plan_of_run.ts";
import { runCommands } from "./run_commands.ts";
import { FILES, readRecord } from "../folder/run_files.ts";

/**
 * What the folder of a finished run holds for its page.
 * @param scores folder of a comparison of the run's result with its dense model, if there is one.
 * @throws {RunFolderError} when it holds none.
 * @throws {PlanError} when its files do not go together.
 * @throws {ResumeError} when the journal is damaged.
 * @throws {EvaluationError} when the comparison is none, or of other models.
 */
export async function readReportRun(folder: string, scores?: string): Promise<ReportRun> {
  const record = await readRecord(folder);
  const plan = await readRunPlan(folder, record);
  const journal = await checkedJournal(folder, record);
  if (journal === null && record.journal !== null) {
    const file = join(folder, FILES.journal);
    throw new PlanError(`${file}: there is no such file, and a finished run has it`);
  }
  const run = reportRun(folder, record, plan, journal && journal.history);
  return scores === undefined ? run : { ...run, scores: await readScores(scores, record) };
}

/** What a page says of a run that is known already. */
function reportRun(
  folder: string,
  record: RunRecord,
  plan: PrunePlan,
  history: History | null,
): ReportRun {
  return {
    model: modelName(record.flags.model),
    name: basename(folder),
    record,
    plan,
    history: history && history.steps.length > 0 ? historyOf(record, history) : null,
    scores: null,
    commands: runCommands(record),
  };
}

/** What a model is called that a record names. */
export function modelName(source: string | null): string {
  if (source === null) return DEMO_MODEL_NAME;
  const onHub = hubModelName(source);
  return onHub?.repository ?? basename(source).replace(/\.gguf$/i, "");
}

/** The journal of a run that is being taken further is longer than its record. */
function historyOf(
  record: RunRecord,
  { steps, evidence, measures, rankings, refits, swaps }: History,
): History {
  const decided = record.steps + (record.stopped ? 1 : 0);
  return {
    steps: steps.slice(0, decided),
    evidence: evidence.filter(({ step }) => step < decided),
    measures: measures.filter((measure) => measure.steps <= decided),
    // Each stage asks for its rankings once, and those of the record come first.
    rankings: rankings.slice(0, record.rankings.length),
    refits: refits.filter((line) => line.steps === record.steps),
    swaps: swaps.filter((line) => line.steps <= record.steps),
  };
}
