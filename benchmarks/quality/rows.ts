/** The rows of quality.md: what each asks of `lopper prune`, and whose plan it takes. */
import { SETTINGS } from "@lopper/run";

export interface Row {
  /** What is asked of `prune` besides the model, the text and the ratio. */
  readonly flags: readonly string[];
  /**
   * A run whose plan is taken instead of a search: of another row, or the longer one of this row,
   * where that is there.
   */
  readonly plan?: { readonly row?: RowName; readonly ratio?: number };
}

export type RowName =
  | "BlockPruner preset"
  | "MultiPruner preset"
  | "distribution alone"
  | "order alone"
  | "repair alone"
  | "swaps alone"
  | "divergence alone"
  | "order and repair"
  | "all but divergence"
  | "Lopper defaults";

/**
 * A search that takes one kind after another would begin otherwise for a smaller ratio; where all
 * compete it would not.
 */
const PART: Row["plan"] = { ratio: 30 };
/** Blocks, channels and heads one after the other, as in the published search. */
const STAGED = ["--distribution", SETTINGS.multipruner.distribution];
/** Candidates and repairs judged by the loss of the text, as in the published search. */
const BY_TEXT = ["--criterion", SETTINGS.multipruner.criterion];
export const ROWS: Readonly<Record<RowName, Row>> = {
  "BlockPruner preset": { flags: ["--preset", "blockpruner"], plan: PART },
  "MultiPruner preset": { flags: ["--preset", "multipruner"] },
  "distribution alone": {
    flags: ["--preset", "multipruner", "--distribution", "auto"],
    plan: PART,
  },
  "order alone": {
    flags: [...STAGED, ...BY_TEXT, "--recover", "none"],
    plan: { row: "order and repair" },
  },
  "repair alone": { flags: [...BY_TEXT, "--recover", "auto"], plan: { row: "MultiPruner preset" } },
  "swaps alone": { flags: ["--preset", "multipruner", "--swap", "auto"] },
  "divergence alone": { flags: ["--preset", "multipruner", "--criterion", "kl"] },
  "order and repair": { flags: [...STAGED, ...BY_TEXT] },
  "all but divergence": { flags: BY_TEXT, plan: PART },
  "Lopper defaults": { flags: [], plan: PART },
};

/** The row that every row of its ratio is compared with. */
export const PUBLISHED: RowName = "MultiPruner preset";

/** Where a row stands in the table. */
export function rankOf(row: RowName | "dense"): number {
  return row === "dense" ? -1 : Object.keys(ROWS).indexOf(row);
}
