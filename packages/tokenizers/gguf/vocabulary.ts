import type { GgufMetadata } from "@lopper/formats";

/** A token that text is split at before anything else; the fields are those of tokenizer.json. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly single_word: false;
  readonly lstrip: false;
  readonly rstrip: false;
  readonly normalized: false;
  readonly special: boolean;
}

export interface Vocabulary {
  /** Texts by id. */
  readonly tokens: readonly string[];
  readonly ids: ReadonlyMap<string, number>;
  readonly added: readonly AddedToken[];
  readonly special: Readonly<
    Record<"bos" | "eos" | "unk" | "pad", { readonly id: number; readonly content: string } | null>
  >;
}

export const TOKENS = "tokenizer.ggml.tokens";
const TOKEN_TYPES = "tokenizer.ggml.token_type";
/** Far more than any token has; splitting one into all its pairs takes the square of it. */
const MAX_TOKEN_LENGTH = 1024;
/**
 * Kinds of tokens (llama.h, `llama_token_type`) that llama.cpp finds in a text before it splits the
 * rest.
 */
const UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4;

/** Ids that llama.cpp takes for a SentencePiece vocabulary whose file names none. */
const SENTENCE_PIECE_IDS = { bos: 1, eos: 2, unk: 0 } as const;
/** The same by tokenizer.ggml.model. */
export const USUAL_IDS: Readonly<
  Record<string, Readonly<Partial<Record<"bos" | "eos" | "unk" | "pad", number>>>>
> = { llama: SENTENCE_PIECE_IDS, t5: { eos: 1, unk: 2, pad: 0 } };

/**
 * @throws {CheckpointFormatError} when tokens are missing, repeat, or are named by ids that do not
 * exist.
 */
export async function readVocabulary(
  metadata: GgufMetadata,
  kind: string,
): Promise<Vocabulary> {
  const listed = await metadata.texts(TOKENS);
  if (!listed?.length) throw metadata.refuse(TOKENS, "it is missing or empty");
  // As llama.cpp calls them: a text without characters is found everywhere.
  const tokens = listed.map((text, id) => text === "" ? `[EMPTY_${id}]` : text);
  const ids = new Map<string, number>();
  tokens.forEach((text, id) => {
    if (text.length > MAX_TOKEN_LENGTH) {
      throw metadata.refuse(
        TOKENS,
        `token ${id} has ${text.length} characters; at most ${MAX_TOKEN_LENGTH} are expected`,
      );
    }
    const before = ids.get(text);
    if (before !== undefined) {
      throw metadata.refuse(TOKENS, `${JSON.stringify(text)} is token ${before} and token ${id}`);
    }
    ids.set(text, id);
  });
  const types = await metadata.numbers(TOKEN_TYPES) ?? [];
  if (types.length !== 0 && types.length !== tokens.length) {
    throw metadata.refuse(TOKEN_TYPES, `it has ${types.length} types for ${tokens.length} tokens`);
  }
  const added = tokens.flatMap((content, id): AddedToken[] => {
    const type = types[id];
    if (type !== UNKNOWN && type !== CONTROL && type !== USER_DEFINED) return [];
    const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false } as const;
    return [{ id, content, ...plain, special: type !== USER_DEFINED }];
  });
  const named = (name: string, fallback?: number) => {
    const key = `tokenizer.ggml.${name}_token_id`;
    const id = metadata.count(key) ?? fallback;
    if (id === undefined) return null;
    if (id < tokens.length) return { id, content: tokens[id] };
    throw metadata.refuse(key, `it is ${id} and there are ${tokens.length} tokens`);
  };
  const { bos, eos, unk, pad } = USUAL_IDS[kind] ?? {};
  return {
    tokens,
    ids,
    added,
    special: {
      bos: named("bos", bos),
      eos: named("eos", eos),
      unk: named("unknown", unk),
      pad: named("padding", pad),
    },
  };
}
