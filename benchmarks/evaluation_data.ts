/** Local data sets of the tasks, as both `lopper evaluate` and lm-evaluation-harness get them. */
import { readRows } from "@lopper/evaluation";
import { FileSource } from "@lopper/files";
import { dirname } from "node:path";

interface TaskFile {
  /** In the collection of data sets. HellaSwag's has its markup, so that both clean-ups run. */
  readonly source: string;
  /** Where `lopper evaluate --data` looks for it. */
  readonly place: string;
  /** Requests that most of its questions have. */
  readonly requests: number;
}

export const TASK_FILES: Readonly<Record<string, TaskFile>> = {
  piqa: { source: "piqa/valid.jsonl.gz", place: "piqa/valid.jsonl", requests: 2 },
  winogrande: { source: "winogrande/dev.jsonl.gz", place: "winogrande/dev.jsonl", requests: 2 },
  hellaswag: {
    source: "hellaswag/hellaswag_val_raw_sample.jsonl.gz",
    place: "hellaswag/validation.jsonl",
    requests: 4,
  },
  arc_easy: { source: "arc/ARC-Easy-Test.jsonl.gz", place: "arc/ARC-Easy-Test.jsonl", requests: 4 },
  arc_challenge: {
    source: "arc/ARC-Challenge-Test.jsonl.gz",
    place: "arc/ARC-Challenge-Test.jsonl",
    requests: 4,
  },
  boolq: { source: "boolq/val.jsonl.gz", place: "boolq/val.jsonl", requests: 2 },
  openbookqa: { source: "openbookqa/test.jsonl.gz", place: "openbookqa/test.jsonl", requests: 4 },
  lambada_openai: {
    source: "lambada/lambada_test.jsonl.gz",
    place: "lambada/lambada_test.jsonl",
    requests: 1,
  },
};

/**
 * Writes the first questions of a task, with so many requests or a few more, where both programs
 * find them.
 */
export async function writeQuestions(from: string, task: string, requests: number, to: string) {
  const { source, place, requests: each } = TASK_FILES[task];
  const file = await FileSource.open(`${from}/${source}`);
  // Questions with one answer less than the others are made up for.
  const { rows } = await readRows(file, { limit: Math.ceil(1.02 * requests / each) });
  file.close();
  await Deno.mkdir(`${to}/${dirname(place)}`, { recursive: true });
  await Deno.writeTextFile(
    `${to}/${place}`,
    rows.map((row) => JSON.stringify(row) + "\n").join(""),
  );
}
