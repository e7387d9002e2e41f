import { FileFolder } from "@lopper/files";
import { openTokenizer } from "@lopper/tokenizers";
import { fileURLToPath } from "node:url";
import type { MetricName, Question } from "../task.ts";
import { TASKS } from "../tasks/mod.ts";

const FIXTURES = new URL("../../../tests/fixtures/", import.meta.url);
/** The embedded model, under which the cases were scored. */
export const DEMO = fileURLToPath(new URL("../../demo-model/data/model", import.meta.url));

/**
 * What lm-evaluation-harness makes of invented questions
 * (scripts/oracles/make_evaluation_cases.py).
 */
export interface HarnessCases {
  readonly tasks: Readonly<Record<string, HarnessTask>>;
  readonly pairs: Readonly<
    Record<
      string,
      {
        readonly pairs: readonly (readonly [context: string, continuation: string])[];
        readonly tokens: readonly (readonly [ids: readonly number[], scored: number])[];
      }
    >
  >;
}

export interface HarnessTask {
  readonly rows: readonly unknown[];
  readonly requests: readonly (readonly (readonly [context: string, continuation: string])[])[];
  readonly tokens: readonly (readonly (readonly [ids: readonly number[], scored: number])[])[];
  readonly scores: readonly (readonly (readonly [logLikelihood: number, greedy: boolean])[])[];
  readonly metrics: Readonly<Record<MetricName, { value: number; stderr?: number }>>;
}

export const CASES: HarnessCases = JSON.parse(
  Deno.readTextFileSync(new URL("evaluation/cases.json", FIXTURES)),
);

/** A tokenizer of the fixtures, or the embedded model's. */
export function testTokenizer(name: string) {
  const path = name === "demo" ? DEMO : fileURLToPath(new URL(`tokenizers/${name}`, FIXTURES));
  return openTokenizer(new FileFolder(path));
}

export function taskNamed(name: string) {
  const task = TASKS.find((task) => task.name === name);
  if (!task) throw new TypeError(`there is no task ${name}`);
  return task;
}

/** The questions of a case. */
export function questionsOf(name: string): readonly Question[] {
  return CASES.tasks[name].rows.map((row, i) => taskNamed(name).question(row, `row ${i + 1}`));
}
