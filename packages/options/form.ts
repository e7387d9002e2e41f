import { LopperError } from "@lopper/core";
import { z } from "zod";

/** A word that is no value of an option; its message says what is needed. */
export class WordError extends LopperError {}

/** Where the words of a command line are read. */
export interface Place {
  /** A path as the user gave it, in full. */
  readonly absolute: (path: string) => string;
}

/** How the value of an option is written on a command line, and in JSON. */
export interface Form<T> {
  /** What stands for the value in the help; null for a switch, which needs no word. */
  readonly argument: string | null;
  /** The value as files have it. */
  readonly schema: z.ZodType<T>;
  /** All words that there are, where they are few. */
  readonly choices?: readonly string[];
  /** The option may be given again, and the values follow one another. */
  readonly isList?: boolean;
  /** A switch that is on until it is given: --no-NAME. */
  readonly isOff?: boolean;
  /** @throws {WordError} when the word is none. */
  parse(word: string, place: Place): T;
  /** The words that give a value, one for each time that the option is to be given. */
  words(value: T): readonly string[];
}

/** The largest seed: generators take 32 bits, and would take a larger one for a smaller. */
export const MAX_SEED = 2 ** 32 - 1;

/** A whole number from `min` to `max`; `why` says where the largest comes from. */
export function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER, why = ""): Form<number> {
  return {
    argument: "n",
    schema: z.int().min(min).max(max),
    parse(word) {
      const value = Number(word);
      if (/^\d+$/.test(word) && value >= min && value <= max) return value;
      const bounds = max === Number.MAX_SAFE_INTEGER
        ? `of at least ${min}`
        : `from ${min} to ${max}`;
      throw new WordError(`It needs to be a whole number ${bounds}${why && ` (${why})`}.`);
    },
    words: numberWords,
  };
}

/** A number above `above`, or from there on with `orEqual`. */
export function decimal(
  argument: string,
  above: number,
  { orEqual = false }: { readonly orEqual?: boolean } = {},
): Form<number> {
  return {
    argument,
    schema: orEqual ? z.number().min(above) : z.number().gt(above),
    parse: (word) => numberBetween(word, { above, below: Infinity, orEqual }),
    words: numberWords,
  };
}

/**
 * Per cent above 0 and below `below`, as `10%` or `10`. A bare number below 1 may be meant as a
 * part of 1, and is asked back.
 */
export function percent(below: number): Form<number> {
  return {
    argument: "percent",
    schema: below === Infinity ? z.number().positive() : z.number().positive().lt(below),
    parse(word) {
      const number = word.trim().replace(/\s*%$/, "");
      const value = numberBetween(number, { above: 0, below, orEqual: false });
      if (value >= 1 || word.includes("%")) return value;
      const hundredfold = Number((100 * value).toPrecision(12));
      throw new WordError(
        `It is taken in per cent, which is little; was ${hundredfold}% meant? Write that, or ${number}%.`,
      );
    },
    words: (value) => [value < 1 ? `${value}%` : String(value)],
  };
}

/** One of a few names. */
export function choice<const T extends string>(
  argument: string,
  choices: readonly T[],
): Form<T> {
  const schema = z.enum(choices);
  const parse = (word: string) => {
    const { data } = schema.safeParse(word);
    if (data !== undefined) return data;
    throw new WordError(`Allowed choices are ${choices.join(", ")}.`);
  };
  return { argument, schema, choices, parse, words: (value) => [value] };
}

/** Some of a few names, separated by commas, in the order of `choices`. */
export function names<const T extends string>(choices: readonly T[]): Form<readonly T[]> {
  return {
    argument: "names",
    schema: z.array(z.enum(choices)).max(choices.length).readonly(),
    parse(word) {
      const given: readonly string[] = word.split(",").map((name) => name.trim())
        .filter((name) => name !== "");
      const unknown = given.find((name) => !(choices as readonly string[]).includes(name));
      if (unknown === undefined) return choices.filter((name) => given.includes(name));
      throw new WordError(
        `${JSON.stringify(unknown)} is none; it needs names of ${choices.join(", ")}.`,
      );
    },
    words: (value) => value.length === 0 ? [] : [value.join(",")],
  };
}

const anyText = z.string().max(100_000);

/** Any text. */
export function text(argument: string): Form<string> {
  return { argument, schema: anyText, parse: (word) => word, words: (value) => [value] };
}

/** Texts, one each time that the option is given. */
export function texts(argument: string): Form<readonly string[]> {
  return {
    argument,
    schema: z.array(anyText).max(1000).readonly(),
    isList: true,
    parse: (word) => [word],
    words: (value) => value,
  };
}

/** A file or a folder, in full, so that it is the same from any folder. */
export function path(argument: string): Form<string> {
  return { ...text(argument), parse: (word, { absolute }) => absolute(word) };
}

/** A switch that is off until it is given. */
export const on: Form<boolean> = {
  argument: null,
  schema: z.boolean(),
  parse: () => true,
  words: (value) => value ? [""] : [],
};

/** A switch that is on until it is given, as --no-NAME. */
export const off: Form<boolean> = {
  argument: null,
  isOff: true,
  schema: z.boolean(),
  parse: () => false,
  words: (value) => value ? [] : [""],
};

function numberWords(value: number): readonly string[] {
  return [String(value)];
}

function numberBetween(
  word: string,
  { above, below, orEqual }: {
    readonly above: number;
    readonly below: number;
    readonly orEqual: boolean;
  },
): number {
  const value = Number(word);
  const fits = (orEqual ? value >= above : value > above) && value < below;
  if (word.trim() !== "" && fits) return value;
  const low = orEqual ? `at least ${above}` : `above ${above}`;
  const high = below === Infinity ? "" : ` and below ${below}`;
  throw new WordError(`It needs to be a number ${low}${high}.`);
}
