import { UsageError } from "@lopper/core";
import { PAPER_TASKS, TASKS } from "./tasks/mod.ts";

/** The task whose questions are one text. */
export const WIKITEXT = "wikitext2";
const NAMES = [WIKITEXT, ...TASKS.map(({ name }) => name)];

/** Names that stand for several. */
export const TASK_GROUPS: Readonly<Record<"paper" | "all", readonly string[]>> = {
  paper: [WIKITEXT, ...PAPER_TASKS],
  all: NAMES,
};
const groups: Readonly<Record<string, readonly string[]>> = TASK_GROUPS;

/** A file of questions that somebody brings along. */
export const OWN_TASK_FILE = /\.jsonl(\.gz)?$/i;

/**
 * The tasks of a list of names, groups and files of one's own, separated by commas, each once.
 * @throws {UsageError} for a name that is no task.
 */
export function taskNames(list: string): readonly string[] {
  const given = list.split(",").map((name) => name.trim()).filter((name) => name !== "");
  const names = given.flatMap((name) => groups[name] ?? [name]);
  for (const name of names) {
    if (NAMES.includes(name) || OWN_TASK_FILE.test(name)) continue;
    throw new UsageError(
      `--tasks has ${JSON.stringify(name)}; it needs names of ${NAMES.join(", ")}, the groups ${
        Object.keys(groups).join(" and ")
      }, or .jsonl files of your own`,
    );
  }
  return [...new Set(names)];
}
