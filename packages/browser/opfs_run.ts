import { type ByteSink, writeText } from "@lopper/formats";
import { type Model, openModel } from "@lopper/models";
import {
  checkSameSettings,
  parseRunRecord,
  parseRunSettings,
  RECORD_FILE,
  RunJournal,
  type RunRecord,
  runRecordToJson,
  type RunSettings,
  type RunStore,
  settingsToJson,
  STATE_FILES,
} from "@lopper/run";
import { type History, type JournalEntry, parseJournal } from "@lopper/search";
import { HandleFolder } from "./handle_folder.ts";
import { filesIn, type FolderHandle, folderIn, isMissing, removeEntry } from "./handles.ts";
import { completeLines, OpfsLines } from "./opfs_lines.ts";
import { OpfsSink } from "./opfs_sink.ts";
import { RESULT_FOLDER } from "./result_folder.ts";

/**
 * A run in the origin's own file system, in a worker. Settings and journal stand in its folder from
 * the start, and the result in a folder within, whose record comes last: with it, the run is
 * finished. A tab may be closed at any time.
 */
export class OpfsRun implements RunStore, Disposable {
  readonly settings: RunSettings | null;
  readonly journalPath: string;
  readonly #name: string;
  readonly #folder: FolderHandle;
  #journal: RunJournal | null;
  #lines: OpfsLines | null = null;

  private constructor(
    name: string,
    folder: FolderHandle,
    settings: RunSettings | null,
    journal: RunJournal | null,
  ) {
    this.#name = name;
    this.#folder = folder;
    this.journalPath = `${name}/${STATE_FILES.journal}`;
    this.settings = settings;
    this.#journal = journal;
  }

  /**
   * Opens a run to begin it, or to go on with it.
   * @param name what messages call it.
   * @throws {ResumeError} when its settings or its journal were changed.
   */
  static async open(name: string, folder: FolderHandle): Promise<OpfsRun> {
    const text = await fileIn(folder, STATE_FILES.settings);
    if (text === null) return new OpfsRun(name, folder, null, null);
    const settings = await parseRunSettings(await text.text(), `${name}/${STATE_FILES.settings}`);
    const file = `${name}/${STATE_FILES.journal}`;
    const written = await fileIn(folder, STATE_FILES.journal);
    const lines = written ? await completeLines(written, file) : [];
    return new OpfsRun(name, folder, settings, await RunJournal.read(file, lines, settings));
  }

  get history(): History {
    return this.#journal?.history ?? parseJournal([], this.journalPath);
  }

  get journalChecksum(): string | null {
    return this.#journal?.last ?? null;
  }

  /** The files that were written, by their paths in the result. */
  async resultFiles(): Promise<ReadonlyMap<string, File>> {
    return await filesIn(await this.#result());
  }

  /** Of the finished run; null before. @throws {RunFolderError} when it was changed. */
  async record(): Promise<RunRecord | null> {
    const text = await fileIn(await this.#result(), RECORD_FILE);
    return text && await parseRunRecord(await text.text(), `${this.#name}/${RECORD_FILE}`);
  }

  async begin(settings: RunSettings): Promise<void> {
    if (this.settings) checkSameSettings(this.settings, settings, this.#name);
    await removeEntry(this.#folder, RESULT_FOLDER);
    if (JSON.stringify(this.settings?.flags) !== JSON.stringify(settings.flags)) {
      await writeText(
        (name) => OpfsSink.open(this.#folder, name),
        STATE_FILES.settings,
        await settingsToJson(settings),
      );
    }
    this.#journal ??= await RunJournal.begin(this.journalPath, settings);
    this.#lines = await OpfsLines.open(this.#folder, STATE_FILES.journal);
  }

  async append(entry: JournalEntry): Promise<void> {
    this.#lines!.append(await this.#journal!.add(entry));
  }

  async sink(file: string): Promise<ByteSink> {
    const [name, ...folders] = file.split("/").reverse();
    return await OpfsSink.open(await folderIn(await this.#result(), folders.reverse()), name);
  }

  async reopen(): Promise<Model> {
    return await openModel(new HandleFolder(this.#name, await this.#result()));
  }

  async finish(record: RunRecord): Promise<void> {
    this[Symbol.dispose]();
    await this.#write(RECORD_FILE, await runRecordToJson(record));
  }

  /** Closes the journal. */
  [Symbol.dispose]() {
    this.#lines?.[Symbol.dispose]();
    this.#lines = null;
  }

  #result(): Promise<FolderHandle> {
    return folderIn(this.#folder, [RESULT_FOLDER]);
  }

  #write(file: string, text: string): Promise<void> {
    return writeText((name) => this.sink(name), file, text);
  }
}

/** A file of a folder as it is now; null where there is none. */
async function fileIn(folder: FolderHandle, name: string): Promise<File | null> {
  try {
    return await (await folder.getFileHandle(name)).getFile();
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}
