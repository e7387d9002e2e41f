import { checkHistory } from "../check_history.ts";
import { NO_COST } from "../cost.ts";
import { greedySearch } from "../greedy.ts";
import { parseJournal, toJournalLine } from "../journal.ts";
import { journalEntry } from "../journal_entry.ts";
import type { SearchPolicy } from "../policy.ts";
import type { Scorer } from "@lopper/importance";
import type { SearchModel } from "../search_model.ts";
import type { SearchEvent, SearchOptions, SearchResult } from "../search.ts";

export interface SearchRun {
  readonly result: SearchResult;
  readonly events: readonly SearchEvent[];
  /** What a journal would hold. */
  readonly lines: readonly string[];
}

/**
 * Runs a search to its end, and writes down what a journal would hold.
 * @param lines of the journal that it goes on with.
 */
export async function runSearch(
  model: SearchModel,
  policy: SearchPolicy,
  scorer: Scorer,
  options: Omit<SearchOptions, "scorers" | "measure" | "history">,
  lines: readonly string[] = [],
  onEvent: (event: SearchEvent) => void = () => {},
): Promise<SearchRun> {
  const searching = greedySearch(model, policy, {
    ...options,
    scorers: { block: scorer, width: scorer },
    measure: () => NO_COST,
    history: parseJournal(lines, "journal"),
  });
  const events: SearchEvent[] = [];
  const journal = [...lines];
  let event = await searching.next();
  for (; !event.done; event = await searching.next()) {
    events.push(event.value);
    onEvent(event.value);
    const entry = journalEntry(event.value);
    if (entry) journal.push(toJournalLine(entry));
  }
  // Whatever a search writes down fits the model.
  checkHistory(model, parseJournal(journal, "journal"), "journal");
  return { result: event.value, events, lines: journal };
}
