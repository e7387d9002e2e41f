import { z } from "zod";
import { type Form, WordError } from "./form.ts";

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
};

/** Bytes of "4GB" or "512MiB"; NaN for anything that is no size. */
export function bytesOfSize(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim()) ?? [];
  return Number(number) * (UNITS[unit?.toUpperCase()] ?? NaN);
}

/** A size above 0, in bytes. */
export const size: Form<number> = {
  argument: "size",
  schema: z.number().positive(),
  parse(word) {
    const bytes = bytesOfSize(word);
    if (bytes > 0) return bytes;
    throw new WordError("It needs to be a size such as 200MB or 1.5GiB.");
  },
  words: (bytes) => [`${bytes}B`],
};
