import type { History, Step } from "@lopper/search";

/** What the search spent on one of its stages. */
export interface StageCost {
  readonly stage: Step["stage"];
  readonly steps: number;
  /** Candidates that there were, and those that were scored on anything. */
  readonly candidates: number;
  readonly scored: number;
  /** Passages that were run through the model, counted each time. */
  readonly passages: number;
  readonly blockTokens: { readonly spent: number; readonly full: number };
  readonly seconds: number;
}

/**
 * In the order in which the stages came; one that came again after a run was extended is counted
 * with the first.
 */
export function stageCosts({ steps, evidence }: History): readonly StageCost[] {
  const passages = new Map<number, number>();
  for (const line of evidence) {
    if (line.type !== "score") continue;
    passages.set(line.step, (passages.get(line.step) ?? 0) + line.sequences.length);
  }
  const costs = new Map<string, StageCost>();
  for (const { step, stage, candidates, blockTokens, seconds } of steps) {
    const sum = costs.get(stage);
    costs.set(stage, {
      stage,
      steps: (sum?.steps ?? 0) + 1,
      candidates: (sum?.candidates ?? 0) + candidates.length,
      scored: (sum?.scored ?? 0) + candidates.filter(({ sequences }) => sequences > 0).length,
      passages: (sum?.passages ?? 0) + (passages.get(step) ?? 0),
      blockTokens: {
        spent: (sum?.blockTokens.spent ?? 0) + blockTokens.spent,
        full: (sum?.blockTokens.full ?? 0) + blockTokens.full,
      },
      seconds: (sum?.seconds ?? 0) + seconds,
    });
  }
  return [...costs.values()];
}
