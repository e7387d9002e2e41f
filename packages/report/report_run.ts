import type { CardScores } from "@lopper/card";
import type { PrunePlan } from "@lopper/core";
import type { History } from "@lopper/search";
import type { RunRecord } from "@lopper/run";

/** All that a page says of one run. */
export interface ReportRun {
  /** What people call the model. */
  readonly model: string;
  /** What people call the run, where several are on one page. */
  readonly name: string;
  readonly record: RunRecord;
  /** Which KV groups and channels stayed; null where the folder does not say. */
  readonly plan: PrunePlan | null;
  /** What the journal holds; null for a run without a search. */
  readonly history: History | null;
  /**
   * How the result compares with the dense model on tasks and other texts; null where nobody
   * measured that.
   */
  readonly scores: CardScores | null;
  /** Command lines that make the same run again, in their order. */
  readonly commands: readonly string[];
}
