import { ResumeError, UsageError } from "@lopper/core";
import { INPUTS } from "@lopper/core";
import {
  AppendFile,
  FileFolder,
  type FileSink,
  isThere,
  readInputIfThere,
  ScratchFile,
  writeTextFileAtomically,
  writing,
} from "@lopper/files";
import { type Model, openModel } from "@lopper/models";
import {
  checkSameSettings,
  parseRunRecord,
  RunJournal,
  type RunRecord,
  runRecordToJson,
  type RunSettings,
  type RunStore,
  settingsToJson,
} from "@lopper/run";
import { type History, type JournalEntry, parseJournal } from "@lopper/search";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { NextResult, removePartials, STATE } from "./next_result.ts";
import { entriesOfOut } from "./out_entries.ts";
import { journalOf } from "./read_journal.ts";
import { checkRunReplaceable, isLeftOver, isRunFile } from "./replaceable.ts";
import { FILES, readSettings } from "./run_files.ts";
import { withWayOn } from "../terminal/way_on.ts";
import { commandLine } from "../../called_as.ts";

/**
 * The folder of one run. `settings.json` stands there from the start, the journal grows step by
 * step. The checkpoint, the plan and `run.json` are written in a folder within and come to stand
 * beside them all at once: a folder with `run.json` is complete. Its page follows. A run that
 * replaces another keeps its settings and journal within, too, until then.
 */
export class RunFolder implements RunStore {
  readonly path: string;
  /** Where settings and journal are until the run ends. */
  readonly #statePath: string;
  readonly #next: NextResult;
  readonly settings: RunSettings | null;
  #lines: RunJournal | null;
  #journal: AppendFile | null = null;
  #began = false;
  #settling = false;

  private constructor(
    path: string,
    statePath: string,
    settings: RunSettings | null,
    lines: RunJournal | null,
  ) {
    this.path = path;
    this.#statePath = statePath;
    this.#next = new NextResult(path);
    this.settings = settings;
    this.#lines = lines;
  }

  /**
   * Opens the folder for a new run, or with `resume` for one that was cut off; nothing is written
   * yet.
   * @throws {UsageError} when a new run would write over something, or replace what is no run.
   */
  static async open(
    path: string,
    options: { resume?: boolean; overwrite?: boolean },
  ): Promise<RunFolder> {
    const next = new NextResult(path);
    const replacing = await next.has(FILES.settings);
    if (options.resume) return await RunFolder.#resume(path, replacing ? next.path : path);
    const entries = (await entriesOfOut(path)).filter((name) => !isLeftOver(name));
    if (entries.length === 0) return new RunFolder(path, path, null, null);
    if (!options.overwrite) {
      const state = entries.includes(FILES.record)
        ? `holds a finished run${
          replacing ? ", and one that replaces it (--resume continues it)" : ""
        }`
        : entries.includes(FILES.settings)
        ? "holds an unfinished run (--resume continues it)"
        : "is not empty";
      throw new UsageError(
        `${path} ${state}; choose another --out, or pass --overwrite to replace it`,
      );
    }
    await checkRunReplaceable(path);
    return new RunFolder(path, next.path, null, null);
  }

  static async #resume(path: string, statePath: string): Promise<RunFolder> {
    const entries = (await entriesOfOut(statePath)).filter((name) => !isLeftOver(name));
    if (!entries.includes(FILES.settings) && entries.length > 0) {
      throw new ResumeError(
        entries.includes(FILES.journal)
          ? `${path} has a journal and no ${FILES.settings}; it cannot be resumed (choose another --out)`
          : `${path} holds no run of Lopper; there is nothing to resume`,
      );
    }
    // The result of a run comes with its record; what stands there without one is somebody else's.
    const foreign = statePath === path && !entries.includes(FILES.record) &&
      entries.sort().find((name) => isRunFile(name) && !STATE.includes(name));
    if (foreign) {
      throw new ResumeError(
        `${join(path, foreign)} is not of the unfinished run in that folder; move it elsewhere`,
      );
    }
    const settings = entries.length > 0 ? await readSettings(statePath) : null;
    const lines = settings && await journalOf(statePath, settings);
    return new RunFolder(path, statePath, settings, lines);
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
    return this.settings !== null || this.#began;
  }

  get journalPath(): string {
    return join(this.#statePath, FILES.journal);
  }

  /** Opens the model that was written, before it takes its place. */
  async reopen(): Promise<Model> {
    return await openModel(new FileFolder(this.#next.path));
  }

  /**
   * The record of a finished run, or null; that of a run which is being extended or replaced does
   * not count.
   */
  async record(): Promise<RunRecord | null> {
    if (this.#statePath !== this.path) return null;
    const file = join(this.path, FILES.record);
    const text = await readInputIfThere(file, INPUTS.record);
    if (text === null) return null;
    const record = await parseRunRecord(text, file);
    this.#checkOwn(record, file);
    const extended = this.settings !== null && this.settings.flags.ratio > record.flags.ratio;
    return extended ? null : record;
  }

  /** @throws {ResumeError} when the record is not of the run that the other files are of. */
  #checkOwn(record: RunRecord, file: string) {
    const lines = this.#lines;
    const foreign = lines?.last && record.journal !== null && !lines.has(record.journal);
    if (!foreign && (this.settings?.modelDigest ?? record.modelDigest) === record.modelDigest) {
      return;
    }
    throw new ResumeError(
      `${file} is not of the run whose ${FILES.settings} and ${FILES.journal} stand beside it; one of them was changed`,
    );
  }

  /**
   * Begins to write: a resumed run drops the torn last line of its journal, and what was written of
   * a result is dropped.
   * @throws {ResumeError} when the run in the folder was made with settings that decide otherwise.
   */
  async begin(settings: RunSettings): Promise<void> {
    if (this.settings) checkSameSettings(this.settings, settings, this.path);
    await removePartials(this.path);
    await this.#next.clear(this.settings ? STATE : []);
    if (this.settings) await AppendFile.truncateTornTail(this.journalPath);
    // A run that is extended keeps its result until the new one is there; from here on it is the
    // result of a part. What decides nothing may be another, too.
    if (JSON.stringify(this.settings?.flags) !== JSON.stringify(settings.flags)) {
      const file = join(this.#statePath, FILES.settings);
      await writing(file, () => mkdir(this.#statePath, { recursive: true }));
      await writeTextFileAtomically(file, await settingsToJson(settings));
    }
    this.#lines ??= await RunJournal.begin(this.journalPath, settings);
    this.#journal = await AppendFile.open(this.journalPath);
    this.#began = true;
  }

  async append(entry: JournalEntry): Promise<void> {
    await this.#journal!.appendLine(await this.#lines!.add(entry));
  }

  /** The sink of a file of the result by its path from the folder, with slashes. */
  async sink(file: string): Promise<FileSink> {
    // What is not there any more is not made anew around a result.
    await this.#journal!.checkInPlace();
    return await this.#next.sink(file);
  }

  /** In the folder in which settings and journal are. */
  async openScratch(): Promise<ScratchFile> {
    return await ScratchFile.open(this.#statePath);
  }

  /** Writes the record, with which the result is whole, and puts it in its place. */
  async finish(record: RunRecord): Promise<void> {
    await this.#journal!.checkInPlace();
    this.#closeJournal();
    await this.#next.writeText(FILES.record, await runRecordToJson(record));
    this.#settling = true;
    await this.#next.settle();
    await removePartials(this.path);
  }

  /**
   * Gives up what was written of a result that did not become whole, for its space, and closes the
   * journal.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closeJournal();
    // Whatever went wrong, it was not this.
    if (!this.#settling && this.#began) await this.#next.clear(STATE).catch(() => {});
  }

  /** What ended the run; where a file could not be written, with the way to go on when it can. */
  async withWayOn(error: unknown): Promise<unknown> {
    const left = join(this.#statePath, FILES.settings);
    if (!await isThere(left)) return error;
    return withWayOn(error, commandLine(`prune --resume --out ${this.path}`));
  }

  #closeJournal() {
    this.#journal?.close();
    this.#journal = null;
  }
}

/**
 * A folder name that is still free: `base`, `base-2`, … With `resume`, the newest unfinished one
 * instead.
 */
export async function defaultRunPath(base: string, resume = false): Promise<string> {
  let last: string | null = null;
  for (let n = 1;; n++) {
    const path = n === 1 ? base : `${base}-${n}`;
    const entries = await entriesOfOut(path);
    if (entries.length === 0) return resume && last !== null ? last : path;
    last = path;
  }
}
