import { CheckpointFormatError, shown, UnsupportedModelError } from "@lopper/core";

/**
 * Keys of a config.json that few families have, read one by one. What is null says no more than
 * what is absent.
 */
export class ConfigReader {
  readonly config: Readonly<Record<string, unknown>>;
  /** Where it came from, for messages. */
  readonly file: string;

  constructor(config: Readonly<Record<string, unknown>>, file: string) {
    this.config = config;
    this.file = file;
  }

  has(key: string): boolean {
    return this.config[key] !== undefined && this.config[key] !== null;
  }

  /**
   * @param absent what absence means; without it, the key has to be there.
   * @throws {CheckpointFormatError} for anything but a finite number.
   */
  number(key: string, absent?: number): number {
    const value = this.#value(key, absent);
    return typeof value === "number" && Number.isFinite(value)
      ? value
      : this.#refuse(key, "a number");
  }

  /** @throws {CheckpointFormatError} for anything but a number above 0. */
  positive(key: string, absent?: number): number {
    const value = this.number(key, absent);
    return value > 0 ? value : this.#refuse(key, "a number above 0");
  }

  /** @throws {CheckpointFormatError} for anything but a whole number above 0. */
  count(key: string, absent?: number): number {
    const value = this.number(key, absent);
    return Number.isInteger(value) && value > 0
      ? value
      : this.#refuse(key, "a whole number above 0");
  }

  /** @throws {CheckpointFormatError} for anything but true or false. */
  boolean(key: string, absent?: boolean): boolean {
    const value = this.#value(key, absent);
    return typeof value === "boolean" ? value : this.#refuse(key, "true or false");
  }

  /** @throws {CheckpointFormatError} for anything but a text. */
  text(key: string, absent?: string): string {
    const value = this.#value(key, absent);
    return typeof value === "string" ? value : this.#refuse(key, "a text");
  }

  /**
   * For a key that changes what is computed in a way that Lopper does not compute.
   * @param allowed what it may say all the same; absence always may.
   * @throws {UnsupportedModelError} for anything else.
   */
  only(key: string, ...allowed: readonly (string | number | boolean)[]) {
    const value = this.config[key];
    if (!this.has(key) || allowed.some((one) => one === value)) return;
    const needed = allowed.length > 0 ? allowed.map(shown).join(" or ") : "it to be absent";
    throw new UnsupportedModelError(
      `${this.file}: ${key} is ${shown(value)}; Lopper needs ${needed}`,
    );
  }

  /**
   * A list with an entry for each of `length` layers; null where there is none.
   * @throws {CheckpointFormatError} for anything else.
   */
  listOf<T extends "string" | "number" | "boolean">(
    type: T,
    key: string,
    length: number,
  ): readonly { string: string; number: number; boolean: boolean }[T][] | null {
    if (!this.has(key)) return null;
    const list = this.config[key];
    const isOne = Array.isArray(list) && list.every((entry) => typeof entry === type);
    if (!isOne) this.#refuse(key, `a list of ${type}s`);
    const entries = list as { string: string; number: number; boolean: boolean }[T][];
    if (entries.length === length) return entries;
    throw new CheckpointFormatError(
      `at ${key}: it has ${entries.length} entries; Lopper needs ${length}, one a layer`,
      { file: this.file },
    );
  }

  #value(key: string, absent: unknown): unknown {
    return this.has(key) ? this.config[key] : absent;
  }

  #refuse(key: string, needed: string): never {
    const found = this.has(key) ? `is ${shown(this.config[key])}` : "is missing";
    throw new CheckpointFormatError(`at ${key}: it ${found}; Lopper needs ${needed}`, {
      file: this.file,
    });
  }
}
