import type { ByteSink, Scratch } from "@lopper/formats";
import type { Model } from "@lopper/models";
import type { History, JournalEntry } from "@lopper/search";
import type { RunRecord } from "./schemas/record.ts";
import type { RunSettings } from "./schemas/settings.ts";

/**
 * Files of a result that say what stays of a model: all of it, and as published configs say it
 * where they can.
 */
export const PLAN_FILES = { plan: "lopper_plan.json", published: "pruning_config.json" } as const;

/**
 * Files in which a store that outlives the process keeps what a run knows before it has a result.
 */
export const STATE_FILES = { settings: "settings.json", journal: "journal.jsonl" } as const;

/** The file of a result that holds the record; it comes last, and with it the result is whole. */
export const RECORD_FILE = "run.json";

/** Where a run keeps what it decided and found out, and puts its result: a folder, or memory. */
export interface RunStore {
  /** What the run began with that is to go on; null for a new one. */
  readonly settings: RunSettings | null;
  /** What the run decided and found out so far, by the entries that were appended. */
  readonly history: History;
  /** What a message calls the place of these entries. */
  readonly journalPath: string;
  /**
   * Checksum of the last entry, with which the record names the journal that it was made with; null
   * without entries.
   */
  readonly journalChecksum: string | null;
  /**
   * Begins to write. Whatever an earlier attempt left of a result is dropped.
   * @throws {ResumeError} when the run that is to go on was made with settings that decide
   *   otherwise.
   */
  begin(settings: RunSettings): Promise<void>;
  /** Adds an entry to the journal; it is safe when this returns. */
  append(entry: JournalEntry): Promise<void>;
  /** The sink of a file of the result by its path, with slashes. */
  sink(file: string): Promise<ByteSink>;
  /**
   * A file for what finds no room in memory, once the run has begun; whoever asks closes it. Left
   * out where there is none.
   */
  openScratch?(): Promise<Scratch>;
  /** Opens the model that was written; whoever asks closes it. */
  reopen(): Promise<Model>;
  /** Takes the record, with which the result is whole. */
  finish(record: RunRecord): Promise<void>;
}
