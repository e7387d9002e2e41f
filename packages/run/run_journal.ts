import { ResumeError, sealLine, unsealLine } from "@lopper/core";
import { type History, type JournalEntry, parseJournal, toJournalLine } from "@lopper/search";
import { journalHead } from "./schemas/same_settings.ts";
import type { RunSettings } from "./schemas/settings.ts";
import { STATE_FILES } from "./store.ts";

/**
 * The lines of a run's journal. Each carries a checksum over itself and the one before, and the
 * first is bound to what the run depends on: a line that was changed, taken out, put in or moved,
 * or that is of another run, is seen.
 */
export class RunJournal {
  readonly #file: string;
  /** Without checksums. */
  readonly #lines: string[] = [];
  /** What the first line is bound to, then the checksums of the lines. */
  readonly #checksums: string[];
  #history: History | null = null;

  private constructor(file: string, head: string) {
    this.#file = file;
    this.#checksums = [head];
  }

  /**
   * One that has no lines yet.
   * @param file what messages call it.
   */
  static async begin(file: string, settings: RunSettings): Promise<RunJournal> {
    return new RunJournal(file, await journalHead(settings));
  }

  /**
   * Takes the complete lines of a journal; what a crash left of the last one is none of them.
   * @param file what messages call it.
   * @throws {ResumeError} naming the first line that does not fit.
   */
  static async read(
    file: string,
    lines: readonly string[],
    settings: RunSettings,
  ): Promise<RunJournal> {
    const journal = await RunJournal.begin(file, settings);
    for (const [i, line] of lines.entries()) await journal.#take(line, i + 1);
    // Whoever opens a run learns at once whether its journal says something.
    journal.#history = parseJournal(journal.#lines, journal.#file);
    return journal;
  }

  /** What the lines say. */
  get history(): History {
    return this.#history ??= parseJournal(this.#lines, this.#file);
  }

  /** Checksum of the last line; null where there is none. */
  get last(): string | null {
    return this.#lines.length === 0 ? null : this.#checksums.at(-1)!;
  }

  /**
   * Whether one of the lines has this checksum: then all lines up to it are those that it was made
   * for.
   */
  has(checksum: string): boolean {
    return this.#checksums.includes(checksum, 1);
  }

  /** Takes an entry for the next line. @returns the line as it is to be written. */
  async add(entry: JournalEntry): Promise<string> {
    const text = toJournalLine(entry);
    const { line, checksum } = await sealLine(text, this.#checksums.at(-1)!);
    this.#lines.push(text);
    this.#checksums.push(checksum);
    this.#history = null;
    return line;
  }

  async #take(line: string, number: number) {
    const sealed = await unsealLine(line, this.#checksums.at(-1)!);
    if (!sealed) {
      const follows = number === 1
        ? `is not of the run that ${STATE_FILES.settings} describes`
        : `does not follow line ${number - 1}`;
      throw new ResumeError(
        `${this.#file}, line ${number}: it was changed, or ${follows}: its checksum does not fit`,
      );
    }
    this.#lines.push(sealed.text);
    this.#checksums.push(sealed.checksum);
  }
}
