import { CalibrationError } from "@lopper/core";
import { INPUTS, refusalOf } from "@lopper/core";
import {
  bytesOf,
  type ByteSource,
  endOfLines,
  endOfParagraphs,
  type TextPart,
  textParts,
} from "@lopper/formats";
import type { SampleList } from "./sample_list.ts";

/**
 * A long book has 3 MB. What is longer than this cannot be one sample, and would have to be held at
 * once.
 */
export const MAX_SAMPLE_BYTES = 2 ** 24;
/**
 * Places in a text that are remembered: so many that little is read before a sample, and few kB.
 */
const MAX_MARKS = 2 ** 14;

/** How a kind of file keeps samples apart. */
interface Form {
  readonly end: (bytes: Uint8Array, searched: number) => number;
  /** What stands between samples. */
  readonly separator: string;
  /** @param line number of the text's first line in the file, from 0. */
  readonly parse: (text: string, file: string, line: number) => readonly string[];
}

const FORMS: Readonly<Record<string, Form>> = {
  txt: { end: endOfParagraphs, separator: "a blank line", parse: paragraphs },
  jsonl: { end: endOfLines, separator: "a line end", parse: jsonLines },
};

/**
 * The samples of a calibration file: a line of `.jsonl` each (field `text`), a paragraph of `.txt`
 * each (paragraphs are separated by blank lines).
 * @throws {CalibrationError} naming the line that is not what it should be.
 */
export function parseSamples(text: string, file: string): readonly string[] {
  const samples = formOf(file).parse(text, file, 0);
  if (samples.length === 0) throw noText(file);
  return samples;
}

/**
 * The samples of a calibration file of any size, as `parseSamples` finds them in its whole text: it
 * is read once to count them, and from a place near a sample again when that is asked for.
 * @param open opens the file, each time anew.
 * @throws {CalibrationError} as `parseSamples`, and for a sample that is too large to be one.
 */
export async function textSamples(
  open: () => Promise<ByteSource>,
  file: string,
): Promise<SampleList> {
  const form = formOf(file);
  const marks = new Marks();
  let length = 0;
  const source = await open();
  try {
    for await (const { samples, first, offset, line } of stretches(source, file, form, START)) {
      marks.add({ first, offset, line });
      length = first + samples.length;
    }
  } finally {
    source.close();
  }
  if (length === 0) throw noText(file);
  return { length, read: (numbers) => read(open, file, form, marks, numbers) };
}

/**
 * A place in a text where a sample begins: the number of that sample, the offset in bytes, and the
 * number of the line.
 */
interface Mark {
  readonly first: number;
  readonly offset: number;
  readonly line: number;
}

interface Stretch extends Mark {
  readonly samples: readonly string[];
}

const START: Mark = { first: 0, offset: 0, line: 0 };

/** The samples of a text from a mark on. */
async function* stretches(
  source: ByteSource,
  file: string,
  { end, separator, parse }: Form,
  mark: Mark,
): AsyncGenerator<Stretch> {
  const parts: AsyncIterable<TextPart> = textParts(bytesOf(source, mark.offset), {
    offset: mark.offset,
    end,
    maxBytes: MAX_SAMPLE_BYTES,
    refuse: refusalOf(INPUTS.calibration, file),
    tooLong: (offset) =>
      `behind its byte ${offset} there is no ${
        separator.replace(/^an? /, "")
      } for ${MAX_SAMPLE_BYTES} bytes, ` +
      `more than one sample can have; ${separator} ends a sample`,
  });
  let { first, line } = mark;
  for await (const { offset, text } of parts) {
    const samples = parse(text, file, line);
    yield { first, offset, line, samples };
    first += samples.length;
    line += linesOf(text);
  }
}

async function* read(
  open: () => Promise<ByteSource>,
  file: string,
  form: Form,
  marks: Marks,
  numbers: readonly number[],
): AsyncGenerator<string> {
  if (numbers.length === 0) return;
  const source = await open();
  try {
    let rest: AsyncGenerator<Stretch> | null = null;
    let stretch: Stretch = { ...START, samples: [] };
    const end = () => stretch.first + stretch.samples.length;
    for (const n of numbers) {
      while (n >= end()) {
        const mark = marks.before(n);
        if (rest === null || mark.first > end()) rest = stretches(source, file, form, mark);
        const next = await rest.next();
        if (next.done) throw new CalibrationError(`${file}: it was changed while it was read`);
        stretch = next.value;
      }
      yield detached(stretch.samples[n - stretch.first]);
    }
  } finally {
    source.close();
  }
}

/** A text of its own: a part of a string keeps all of it in memory. */
function detached(part: string): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(part));
}

/**
 * Some of the places where samples begin, at about equal distances, in little memory however many
 * are added.
 */
class Marks {
  #marks: Mark[] = [];
  #every = 1;
  #added = 0;

  /** Marks are added in their order. */
  add(mark: Mark) {
    if (this.#added++ % this.#every !== 0) return;
    this.#marks.push(mark);
    if (this.#marks.length < MAX_MARKS) return;
    this.#marks = this.#marks.filter((_, i) => i % 2 === 0);
    this.#every *= 2;
  }

  /** The last mark at or before a sample. */
  before(sample: number): Mark {
    let [low, high] = [0, this.#marks.length];
    while (low + 1 < high) {
      const middle = (low + high) >> 1;
      if (this.#marks[middle].first <= sample) low = middle;
      else high = middle;
    }
    return this.#marks[low];
  }
}

function formOf(file: string): Form {
  const extension = /\.(jsonl|txt)$/i.exec(file)?.[1].toLowerCase();
  if (extension !== undefined) return FORMS[extension];
  throw new CalibrationError(
    `${file}: calibration text is a .txt, .jsonl or .parquet file, or a folder of them`,
  );
}

function noText(file: string): CalibrationError {
  return new CalibrationError(`${file}: there is no text in it`);
}

function paragraphs(text: string): readonly string[] {
  return text.replaceAll("\r\n", "\n").split(/\n[ \t]*\n+/).map((p) => p.trim())
    .filter((p) => p !== "");
}

function jsonLines(text: string, file: string, before: number): readonly string[] {
  return text.split("\n").flatMap((line, i) => {
    if (line.trim() === "") return [];
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (error) {
      throw new CalibrationError(`${file}, line ${before + i + 1}: not JSON`, { cause: error });
    }
    const sample = (value as { text?: unknown } | null)?.text;
    if (typeof sample !== "string") {
      throw new CalibrationError(
        `${file}, line ${before + i + 1}: each line needs the form {"text": "…"}`,
      );
    }
    return [sample];
  });
}

function linesOf(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count += 1;
  return count;
}
