import type { SearchEvent } from "./search.ts";
import type { JournalEntry } from "./journal_lines.ts";

/**
 * What a journal gets of an event before the search goes on; null where it gets nothing, or has it
 * already.
 */
export function journalEntry(event: SearchEvent): JournalEntry | null {
  if (event.type === "evidence") return event.evidence;
  if (event.type === "progress" || event.type === "warning" || event.resumed) return null;
  switch (event.type) {
    case "step":
      return event.step;
    case "ranking":
      return event.ranking;
    case "measure":
      return event.measure;
    case "swap":
      return event.line;
  }
}
