import { commandsOfRun, type RunRecord } from "@lopper/run";
import { commandLine } from "../../called_as.ts";

/** Where a run that is made again goes. */
const OUT = "again";

/** The command lines that make a run again, in their order. */
export function runCommands(record: RunRecord): readonly string[] {
  return commandsOfRun(record, OUT)
    .map((words) => commandLine(["prune", ...words.map(quoted)].join(" ")));
}

/** A word as a POSIX shell takes it for one. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
