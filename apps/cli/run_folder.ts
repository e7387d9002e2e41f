import {
  ResumeError,
  type RunFlags,
  type RunRecord,
  type RunSettings,
  UsageError,
} from "@lopper/core";
import { INPUTS, runRecordToJson, settingsToJson } from "@lopper/model-io";
import {
  AppendFile,
  FileSink,
  readInputIfThere,
  writeTextFileAtomically,
} from "@lopper/model-io/files";
import { type History, type JournalEntry, parseJournal } from "@lopper/search";
import { dirname, join } from "node:path";
import { entriesOfOut } from "./out_entries.ts";
import { checkRunReplaceable, isLeftOver, isRunFile } from "./replaceable.ts";
import { FILES, parseRecord, readSettings } from "./run_files.ts";
import { RunJournal } from "./run_journal.ts";
import { checkSameSettings } from "./run_settings.ts";

/**
 * The folder of one run. `settings.json` stands there from the start, the journal grows step by step, the checkpoint and
 * the plan come after the search, then `run.json`: a folder that has it is complete. Its page follows.
 */
export class RunFolder {
  readonly path: string;
  readonly settings: RunSettings | null;
  #lines: RunJournal | null;
  #journal: AppendFile | null = null;

  private constructor(path: string, settings: RunSettings | null, lines: RunJournal | null) {
    this.path = path;
    this.settings = settings;
    this.#lines = lines;
  }

  /**
   * Opens the folder for a new run, or with `resume` for one that was cut off; nothing is written yet.
   * @throws {UsageError} when a new run would write over something, or replace what is no run.
   */
  static async open(
    path: string,
    options: { resume?: boolean; overwrite?: boolean },
  ): Promise<RunFolder> {
    const entries = (await entriesOfOut(path)).filter((name) => !isLeftOver(name));
    if (options.resume) {
      const settings = entries.includes(FILES.settings) ? await readSettings(path) : null;
      if (settings === null && entries.includes(FILES.journal)) {
        throw new ResumeError(
          `${path} has a journal and no ${FILES.settings}; it cannot be resumed (start again with --overwrite)`,
        );
      }
      if (settings === null && entries.length > 0) {
        throw new ResumeError(`${path} holds no run of Lopper; there is nothing to resume`);
      }
      return new RunFolder(path, settings, settings && await RunJournal.read(path, settings));
    }
    if (entries.length > 0 && !options.overwrite) {
      const state = entries.includes(FILES.record)
        ? "holds a finished run"
        : entries.includes(FILES.settings)
        ? "holds an unfinished run (--resume continues it)"
        : "is not empty";
      throw new UsageError(
        `${path} ${state}; choose another --out, or pass --overwrite to replace it`,
      );
    }
    if (options.overwrite) await checkRunReplaceable(path);
    return new RunFolder(path, null, null);
  }

  /** What the run decided and found out so far. */
  get history(): History {
    return this.#lines?.history ?? parseJournal([], FILES.journal);
  }

  /** What the record says of the journal that it was made with. */
  get journalChecksum(): string | null {
    return this.#lines?.last ?? null;
  }

  /** Whether there is something that `--resume` can go on with. */
  get begun(): boolean {
    return this.settings !== null || this.#journal !== null;
  }

  get journalPath(): string {
    return join(this.path, FILES.journal);
  }

  /** The record of a finished run, or null; that of a run which is being extended does not count. */
  async record(): Promise<RunRecord | null> {
    const file = join(this.path, FILES.record);
    const text = await readInputIfThere(file, INPUTS.record);
    if (text === null) return null;
    const record = await parseRecord(text, file);
    const extended = this.settings !== null && this.settings.flags.ratio > record.flags.ratio;
    return extended ? null : record;
  }

  /**
   * Begins to write: a new run clears what an earlier one left, a resumed one drops the torn last line of its journal.
   * @throws {ResumeError} when the run in the folder was made with settings that decide otherwise.
   */
  async begin(settings: RunSettings): Promise<void> {
    await Deno.mkdir(this.path, { recursive: true });
    if (this.settings) {
      checkSameSettings(this.settings, settings, this.path);
      await AppendFile.truncateTornTail(this.journalPath);
    } else {
      await this.#clear();
    }
    // A run that is extended keeps its result until the new one is there; from here on it is the result of a part.
    // The same of its export.
    const changing = (flags?: RunFlags) => JSON.stringify([flags?.ratio, flags?.export ?? null]);
    if (changing(this.settings?.flags) !== changing(settings.flags)) {
      await this.writeText(FILES.settings, await settingsToJson(settings));
    }
    this.#lines ??= await RunJournal.begin(this.path, settings);
    this.#journal = await AppendFile.open(this.journalPath);
  }

  async append(entry: JournalEntry): Promise<void> {
    await this.#journal!.appendLine(await this.#lines!.add(entry));
  }

  /** The sink of a file by its path from the folder, with slashes. */
  async sink(file: string): Promise<FileSink> {
    const path = join(this.path, ...file.split("/"));
    await Deno.mkdir(dirname(path), { recursive: true });
    return await FileSink.open(path);
  }

  writeText(file: string, text: string): Promise<void> {
    return writeTextFileAtomically(join(this.path, file), text);
  }

  /** @returns the files. */
  async writePlan(planJson: string, publishedJson: string | null): Promise<readonly string[]> {
    await this.writeText(FILES.plan, planJson);
    if (publishedJson === null) return [FILES.plan];
    await this.writeText(FILES.published, publishedJson);
    return [FILES.plan, FILES.published];
  }

  async writeRecord(record: RunRecord): Promise<void> {
    await this.writeText(FILES.record, await runRecordToJson(record));
  }

  /** Removes the result of an earlier part of the run, so that files of two results never stand side by side. */
  async retireResult(): Promise<void> {
    await this.#clear((name) => name !== FILES.settings && name !== FILES.journal);
  }

  close() {
    this.#journal?.close();
    this.#journal = null;
  }

  async #clear(which: (name: string) => boolean = () => true) {
    // run.json goes first: without it nobody takes a half-cleared folder for a finished run. config.json is next: without
    // it the weights are no model.
    const names = (await entriesOfOut(this.path)).filter(which);
    const order = (name: string) => name === FILES.record ? 0 : name === "config.json" ? 1 : 2;
    for (const name of names.sort((a, b) => order(a) - order(b))) {
      if (isRunFile(name)) await Deno.remove(join(this.path, name));
    }
  }
}

/** A folder name that is still free: `base`, `base-2`, … With `resume`, the newest unfinished one instead. */
export async function defaultRunPath(base: string, resume = false): Promise<string> {
  let last: string | null = null;
  for (let n = 1;; n++) {
    const path = n === 1 ? base : `${base}-${n}`;
    const entries = await entriesOfOut(path);
    if (entries.length === 0) return resume && last !== null ? last : path;
    last = path;
  }
}
