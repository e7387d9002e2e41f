import { EvaluationError, UsageError } from "@lopper/core";
import {
  joinedText,
  OWN_TASK_FORMS,
  ownTask,
  PAPER_TASKS,
  type Question,
  readRows,
  type Task,
  TASKS,
} from "@lopper/evaluation";
import { INPUTS } from "@lopper/model-io";
import { openInput } from "@lopper/model-io/files";
import { basename } from "node:path";
import { type DataOptions, dataRows } from "./evaluation_data.ts";
import { userPath } from "./paths.ts";
import { readWholeText } from "./text_files.ts";

export const WIKITEXT = "wikitext2";
/** Names that stand for several. */
export const TASK_GROUPS: Readonly<Record<string, readonly string[]>> = {
  paper: [WIKITEXT, ...PAPER_TASKS],
  all: [WIKITEXT, ...TASKS.map(({ name }) => name)],
};
const NAMES = [WIKITEXT, ...TASKS.map(({ name }) => name)];
const OWN_TASK = /\.jsonl(\.gz)?$/i;

/** A text whose perplexity is measured. */
export interface NamedText {
  readonly name: string;
  readonly text: string;
}

/** The questions of a task that are asked. */
export interface AskedTask {
  readonly task: Task;
  readonly questions: readonly Question[];
  /** Questions that the data set has. */
  readonly available: number;
  /** Where they were. */
  readonly file: string;
}

export interface Measures {
  readonly texts: readonly NamedText[];
  readonly tasks: readonly AskedTask[];
}

export interface MeasureOptions extends DataOptions {
  /** Names, groups and files of own tasks, comma-separated. */
  readonly tasks: string;
  /** Files and folders of text. */
  readonly perplexity: readonly string[];
  /** Questions of each task at most, or null for all. */
  readonly limit: number | null;
}

/**
 * Reads what is to be measured, all of it before any of the work.
 * @throws {UsageError} for a name that is no task.
 * @throws {EvaluationError} for data that is missing or is not what it should be.
 */
export async function readMeasures(options: MeasureOptions): Promise<Measures> {
  const names = taskNames(options.tasks);
  if (names.length === 0 && options.perplexity.length === 0) {
    throw new UsageError(
      "there is nothing to measure; name tasks (--tasks paper) or a text (--perplexity FILE)",
    );
  }
  const texts: NamedText[] = [];
  const tasks: AskedTask[] = [];
  for (const name of names) {
    if (name === WIKITEXT) {
      const { rows, file } = await dataRows(name, options);
      texts.push({ name, text: joinedText(rows, file) });
    } else tasks.push(await readTask(name, options));
  }
  for (const path of options.perplexity) {
    texts.push({ name: path, text: await readWholeText(userPath(path)) });
  }
  return { texts, tasks };
}

function taskNames(list: string): readonly string[] {
  const given = list.split(",").map((name) => name.trim()).filter((name) => name !== "");
  const names = given.flatMap((name) => TASK_GROUPS[name] ?? [name]);
  for (const name of names) {
    if (NAMES.includes(name) || OWN_TASK.test(name)) continue;
    throw new UsageError(
      `--tasks has ${JSON.stringify(name)}; it needs names of ${NAMES.join(", ")}, the groups ${
        Object.keys(TASK_GROUPS).join(" and ")
      }, or .jsonl files of your own`,
    );
  }
  return [...new Set(names)];
}

async function readTask(name: string, options: MeasureOptions): Promise<AskedTask> {
  const known = TASKS.find((task) => task.name === name);
  const { rows, file } = known ? await dataRows(name, options) : await ownRows(name);
  if (rows.length === 0) throw new EvaluationError(`${file}: there are no questions in it`);
  const task = known ?? ownTask(basename(name).replace(OWN_TASK, ""), rows[0]);
  const asked = options.limit === null ? rows : rows.slice(0, options.limit);
  return {
    task,
    questions: asked.map((row, i) => task.question(row, `${file}, row ${i + 1}`)),
    available: rows.length,
    file,
  };
}

/** @throws {EvaluationError} when there is no such file, or its first line has none of the known forms. */
async function ownRows(path: string) {
  const file = userPath(path);
  const source = await openInput(file, INPUTS.dataSet);
  try {
    return { rows: await readRows(source), file };
  } finally {
    source.close();
  }
}

/** For the help text. */
export const OWN_TASK_HELP = OWN_TASK_FORMS.map((form) => `  ${form}`).join("\n");
