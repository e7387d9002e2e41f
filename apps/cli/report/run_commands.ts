import { commandsOfRun, type RunRecord } from "@lopper/run";

/** Where a run that is made again goes. */
const OUT = "again";

/** The command lines that make a run again, in their order. */
export function runCommands(record: RunRecord): readonly string[] {
  return commandsOfRun(record, OUT)
    .map((words) => ["deno", "task", "prune", ...words.map(quoted)].join(" "));
}

/** A word as a POSIX shell takes it for one. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
