import { UsageError } from "@lopper/core";
import { type Form, on } from "./form.ts";

/** An option of a command, said once: whatever needs to know of it reads this. */
export interface Option<T> {
  readonly form: Form<T>;
  readonly help: string;
  /** What is taken without it; absent where that is nothing, or depends on more. */
  readonly without?: T;
  /** What the help says of that, where it is not `without`. */
  readonly stated?: string;
  /** A command needs it. */
  readonly isNeeded?: true;
  /**
   * How it was written before, which is taken as it was, and named by no help: its earlier name, or
   * a switch that gave a value.
   */
  readonly alias?: `--${string}` | { readonly flag: `--${string}`; readonly value: T };
  /** Key of the option that it says more of, and without which it means nothing. */
  readonly partOf?: string;
  /** Keys of options that contradict it, whatever their values. */
  readonly conflicts?: readonly string[];
}

/** Options of a command by their keys: `targetBytes` is written --target-bytes. */
export type OptionTable = Readonly<Record<string, Option<unknown>>>;

/** Keys of options that always have a value. */
type Sure<T extends OptionTable> = {
  [K in keyof T]: T[K] extends { readonly without: unknown } | { readonly isNeeded: true } ? K
    : never;
}[keyof T];
type ValueOf<O> = O extends Option<infer V> ? V : never;

/** What a command line gives. */
export type OptionValues<T extends OptionTable> =
  & { readonly [K in Sure<T>]: ValueOf<T[K]> }
  & { readonly [K in Exclude<keyof T, Sure<T>>]?: ValueOf<T[K]> };

/** How an option is written, without what stands for its value. */
export function flagOf(key: string, { isOff }: Form<unknown>): string {
  const name = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return `--${isOff ? "no-" : ""}${name}`;
}

/**
 * The words of a command line that give these values, in the order of the table. What is undefined
 * or null is not given.
 */
export function wordsOf(
  table: OptionTable,
  values: Readonly<Record<string, unknown>>,
): readonly string[] {
  return Object.entries(table).flatMap(([key, { form }]) => {
    const value = values[key] ?? null;
    if (value === null) return [];
    const flag = flagOf(key, form);
    return form.words(value).flatMap((word) => form.argument === null ? [flag] : [flag, word]);
  });
}

/** @throws {UsageError} for an option that says more of another, which was not given. */
export function checkParts(table: OptionTable, given: Readonly<Record<string, unknown>>) {
  const isGiven = (key: string) => (given[key] ?? null) !== null;
  for (const [key, { form, partOf }] of Object.entries(table)) {
    if (partOf === undefined || !isGiven(key) || isGiven(partOf)) continue;
    const whole = table[partOf].form;
    const flag = flagOf(partOf, whole);
    throw new UsageError(
      `${
        flagOf(key, form)
      } is for what ${flag} writes; add ${flag} ${whole.argument?.toUpperCase()}`,
    );
  }
}

/** Options that several commands have. */
export const HUB = {
  offline: { form: on, help: "download nothing: what is of the hub comes from its cache" },
} as const satisfies OptionTable;
export const OUTPUT = {
  json: { form: on, help: "print one JSON object a line" },
} as const satisfies OptionTable;
