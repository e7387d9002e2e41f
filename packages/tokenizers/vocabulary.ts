import { CheckpointFormatError } from "@lopper/core";
import { quoted } from "./quoted.ts";
import type { TokenizerJson } from "./schemas.ts";

/** Tokens and ids, both ways. */
export interface Vocabulary {
  readonly ids: ReadonlyMap<string, number>;
  /** By id; some may have none. */
  readonly tokens: readonly (string | undefined)[];
}

/** Rows of an embedding are counted in 32 bits by every program that reads one. */
const MAX_ID = 2 ** 31 - 1;

/**
 * The vocabulary of a tokenizer.json, without its added tokens. A Unigram has a list of tokens with
 * scores, whose places are the ids; every other model has an object of ids.
 * @param file the name in messages.
 * @throws {CheckpointFormatError} naming the first token whose id or score is none, or that has
 *   another's id.
 */
export function readVocabulary({ model }: TokenizerJson, file: string): Vocabulary {
  const { vocab } = model;
  if (Array.isArray(vocab)) return unigramVocabulary(vocab, model.unk_id, file);
  if (model.type === "Unigram" || typeof vocab !== "object" || vocab === null) {
    const needed = model.type === "Unigram"
      ? "a Unigram needs a list of tokens with scores"
      : "it needs an object of tokens and ids, or a list of tokens with scores";
    throw new CheckpointFormatError(`model.vocab: ${needed}`, { file });
  }
  const ids = new Map<string, number>();
  const tokens: string[] = [];
  for (const [token, id] of Object.entries(vocab)) {
    if (!isId(id)) throw noId(id, `the token ${quoted(token)}`, file);
    const other = tokens[id];
    if (other !== undefined) throw sharedId(token, other, id, file);
    ids.set(token, id);
    tokens[id] = token;
  }
  return { ids, tokens };
}

function unigramVocabulary(vocab: readonly unknown[], unknown: unknown, file: string): Vocabulary {
  const ids = new Map<string, number>();
  const tokens: string[] = [];
  vocab.forEach((entry, id) => {
    const [token, score] = Array.isArray(entry) ? entry : [entry];
    if (typeof token === "string" && Number.isFinite(score)) {
      ids.set(token, id);
      tokens[id] = token;
      return;
    }
    throw new CheckpointFormatError(
      `the token ${
        quoted(token)
      }, number ${id} of the vocabulary, has no score; a Unigram needs one of each`,
      { file },
    );
  });
  if (unknown !== null && unknown !== undefined) {
    checkId(unknown, "the unknown token (unk_id)", file);
    if (unknown >= vocab.length) {
      throw new CheckpointFormatError(
        `unk_id is ${unknown}, and there are ${vocab.length} tokens`,
        {
          file,
        },
      );
    }
  }
  return { ids, tokens };
}

/** @throws {CheckpointFormatError} unless it is a whole number from 0. */
export function checkId(id: unknown, what: string, file: string): asserts id is number {
  if (!isId(id)) throw noId(id, what, file);
}

function isId(id: unknown): id is number {
  return Number.isInteger(id) && (id as number) >= 0 && (id as number) <= MAX_ID;
}

function noId(id: unknown, what: string, file: string) {
  const found = id === undefined || id === null ? "no id" : `the id ${quoted(id)}`;
  return new CheckpointFormatError(`${what} has ${found}; ids are whole numbers from 0`, { file });
}

/** The error for two tokens with one id. */
export function sharedId(token: string, other: string, id: number, file: string) {
  return new CheckpointFormatError(
    `the tokens ${quoted(other)} and ${quoted(token)} have the same id, ${id}`,
    { file },
  );
}
