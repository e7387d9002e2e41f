import { ResumeError } from "@lopper/core";
import type { History } from "./history.ts";
import { type JournalEntry, journalLine } from "./journal_lines.ts";

/**
 * One line of journal.jsonl, without the line end. A number that is not finite is written as null.
 */
export function toJournalLine(entry: JournalEntry): string {
  return JSON.stringify(entry);
}

/**
 * What a journal's complete lines say.
 * @throws {ResumeError} naming the line that says nothing: only the last line of a killed run can
 *   be torn.
 */
export function parseJournal(lines: readonly string[], file: string): History {
  const entries = lines.map((line, i) => entryOf(line, `${file}, line ${i + 1}`));
  const of = <T extends JournalEntry["type"]>(...types: readonly T[]) =>
    entries.filter((entry): entry is Extract<JournalEntry, { type: T }> =>
      (types as readonly string[]).includes(entry.type)
    );
  return {
    steps: of("step"),
    evidence: of("score", "perturbations"),
    measures: of("measure"),
    rankings: of("ranking"),
    refits: of("refit", "local", "recovery"),
    swaps: of("swap", "swaps"),
  };
}

function entryOf(line: string, place: string): JournalEntry {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch (error) {
    throw new ResumeError(`${place}: not JSON; the journal is damaged`, { cause: error });
  }
  const result = journalLine.safeParse(json);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0];
  throw new ResumeError(`${place}: at ${path.join(".")}: ${message}`);
}
