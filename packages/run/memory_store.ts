import { type ByteSink, MemoryFolder, MemorySink } from "@lopper/formats";
import { type Model, openModel } from "@lopper/models";
import { type History, type JournalEntry, parseJournal, toJournalLine } from "@lopper/search";
import type { RunStore } from "./store.ts";
import type { RunRecord } from "./schemas/record.ts";
import type { RunSettings } from "./schemas/settings.ts";

/**
 * Keeps a run and its result in memory, for programs and tests. It cannot go on later: nothing of
 * it outlives the process.
 */
export class MemoryStore implements RunStore {
  readonly settings = null;
  readonly journalPath = "the journal in memory";
  /** Nobody could change it. */
  readonly journalChecksum = null;
  readonly #lines: string[] = [];
  readonly #sinks = new Map<string, MemorySink>();
  #record: RunRecord | null = null;

  get history(): History {
    return parseJournal(this.#lines, this.journalPath);
  }

  /** Of the finished run; null before. */
  get record(): RunRecord | null {
    return this.#record;
  }

  /** What was written, as a model that can be opened. */
  get result(): MemoryFolder {
    const files = [...this.#sinks].map(([file, { bytes }]) => [file, bytes]);
    return new MemoryFolder("the pruned model in memory", Object.fromEntries(files));
  }

  begin(_settings: RunSettings): Promise<void> {
    this.#sinks.clear();
    return Promise.resolve();
  }

  append(entry: JournalEntry): Promise<void> {
    this.#lines.push(toJournalLine(entry));
    return Promise.resolve();
  }

  sink(file: string): Promise<ByteSink> {
    const sink = new MemorySink();
    this.#sinks.set(file, sink);
    return Promise.resolve(sink);
  }

  reopen(): Promise<Model> {
    return openModel(this.result);
  }

  finish(record: RunRecord): Promise<void> {
    this.#record = record;
    return Promise.resolve();
  }
}
