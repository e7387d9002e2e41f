/** How llama.cpp names the parts of a model: `smol-00002-of-00003.gguf`. */
const PART = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/i;

/** A part of a model that lies in several GGUF files, by its name. */
export interface SplitPart {
  /** Counted from 1. */
  readonly part: number;
  readonly parts: number;
  /** What the user does to get one file, as a sentence without its end. */
  readonly join: string;
}

/** The part that a file is by its name; null where it is none. */
export function splitPart(file: string): SplitPart | null {
  const match = PART.exec(file.split(/[\\/]/).at(-1)!);
  if (!match) return null;
  const [, name, part, parts] = match;
  const first = `${name}-00001-of-${parts}.gguf`;
  return {
    part: Number(part),
    parts: Number(parts),
    join: `join them with llama-gguf-split --merge ${first} ${name}.gguf`,
  };
}
