import { EvaluationError, UsageError } from "@lopper/core";
import { INPUTS } from "@lopper/core";
import {
  type AskedTask,
  joinedText,
  MAX_ROWS_BYTES,
  type Measures,
  type NamedText,
  OWN_TASK_FILE,
  OWN_TASK_FORMS,
  ownTask,
  taskNames,
  TASKS,
  WIKITEXT,
} from "@lopper/evaluation";
import { basename } from "node:path";
import { type DataOptions, dataRows, readFiles } from "./evaluation_data.ts";
import { userPath } from "../inputs/paths.ts";
import { type OnNote, readWholeText } from "../inputs/text_files.ts";

export interface MeasureOptions extends DataOptions {
  /** Names, groups and files of own tasks, comma-separated. */
  readonly tasks: string;
  /** Files and folders of text. */
  readonly perplexity: readonly string[];
  /** Questions of each task at most, or null for all. */
  readonly limit: number | null;
  /** Hears in a line what of a folder of texts is passed over. */
  readonly onNote: OnNote;
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
  // All of them are in memory until the last was asked.
  let rowBytes = 0;
  for (const name of names) {
    const maxBytes = MAX_ROWS_BYTES - rowBytes;
    if (name === WIKITEXT) {
      const { rows, file } = await dataRows(name, options, { limit: Infinity, maxBytes });
      texts.push({ name, text: joinedText(rows, file) });
    } else {
      const { bytes, ...task } = await readTask(name, options, maxBytes);
      rowBytes += bytes;
      tasks.push(task);
    }
  }
  for (const path of options.perplexity) {
    texts.push({ name: path, text: await readWholeText(userPath(path), options.onNote) });
  }
  checkTexts(texts);
  return { texts, tasks };
}

/** Characters of all texts together, which are in memory until the last was measured. */
const MAX_TEXTS = 2 * INPUTS.text.maxBytes;

function checkTexts(texts: readonly NamedText[]) {
  let length = 0;
  for (const { name, text } of texts) {
    if ((length += text.length) <= MAX_TEXTS) continue;
    throw new EvaluationError(
      `${name}: with it there are more than ${MAX_TEXTS} characters to be measured, the most of one evaluation; measure it apart`,
    );
  }
}

async function readTask(
  name: string,
  options: MeasureOptions,
  maxBytes: number,
): Promise<AskedTask & { readonly bytes: number }> {
  const known = TASKS.find((task) => task.name === name);
  const asked = { limit: options.limit ?? Infinity, maxBytes };
  const { rows, file, available, bytes } = known
    ? await dataRows(name, options, asked)
    : await readFiles([userPath(name)], asked);
  if (rows.length === 0) throw new EvaluationError(`${file}: there are no questions in it`);
  const task = known ?? ownTask(basename(name).replace(OWN_TASK_FILE, ""), rows[0]);
  return {
    task,
    questions: rows.map((row, i) => task.question(row, `${file}, row ${i + 1}`)),
    available,
    file,
    bytes,
  };
}

/** For the help text. */
export const OWN_TASK_HELP = OWN_TASK_FORMS.map((form) => `  ${form}`).join("\n");
