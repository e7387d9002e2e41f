/** What benchmarks/results keeps of the rows of quality.md. */
import type { provenance } from "../harness.ts";
import type { QualityCase } from "./case.ts";
import type { Row, RowName } from "./rows.ts";
import type { Scores } from "./scores.ts";

/** The results that the page is made of, by model. */
export const RESULTS: Readonly<Record<string, readonly string[]>> = {
  "SmolLM2-135M-Instruct": ["smollm2", "smollm2-self", "smollm2-mixed"],
  "Qwen2.5-Coder-0.5B-Instruct": ["qwen-mixed"],
  "Gemma-3-270M": ["gemma"],
};

export interface Run {
  readonly command: readonly string[];
  readonly plan?: Row["plan"];
  readonly search: Work;
  readonly repairs: Work | null;
  /** Perplexity on the samples for blocks. */
  readonly calibration: { readonly dense: number };
}

export interface Result {
  readonly row: RowName | "dense";
  readonly ratio: number;
  readonly run: Run | null;
  readonly scores: Scores;
  /** Rows are taken on several days. */
  readonly taken: Awaited<ReturnType<typeof provenance>>;
}

/** A search whose plan is kept in results/plans. */
export interface Search {
  readonly row: RowName;
  readonly ratio: number;
  readonly search: Work;
}

export interface Work {
  readonly blockTokens: number;
  /** Null in rows of a time when they were not told apart from the rest of the run. */
  readonly seconds: number | null;
}

export interface SavedResults {
  readonly case: Omit<QualityCase, "calibration" | "data" | "rows"> & {
    readonly calibration: string;
  };
  readonly results: readonly Result[];
  /** Results of before have none. */
  readonly searches?: readonly Search[];
}

export async function readResults(name: string): Promise<SavedResults | null> {
  const file = new URL(`../results/quality-${name}.json`, import.meta.url);
  const text = await Deno.readTextFile(file).catch(() => null);
  return text === null ? null : JSON.parse(text);
}
