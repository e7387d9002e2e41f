import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { CheckpointFormatError } from "@lopper/core";
import { z } from "zod";
import { readJson } from "./json.ts";
import type { ModelFolder } from "./model_folder.ts";

/** Text to token ids and back, as the model's own tokenizer does it. Whoever opens one disposes of it. */
export interface Tokenizer extends Disposable {
  /** Token ids of `text`, with the special tokens that the tokenizer adds unless told otherwise. */
  encode(text: string, options?: { addSpecialTokens?: boolean }): Promise<readonly number[]>;
  /** Text of `ids`, special tokens left out. */
  decode(ids: readonly number[]): Promise<string>;
  /** Id of the token that tokenizer_config.json names as the end of text, or null. */
  readonly eosTokenId: number | null;
  /** What stands before a text: the BOS token that tokenizer_config.json names, else the EOS token, or null. */
  readonly textStart: { readonly id: number; readonly text: string } | null;
}

const addedToken = z.looseObject({ content: z.string() });
export type TokenizerJson = z.infer<typeof tokenizerSchema>;
const tokenizerSchema = z.looseObject({
  model: z.looseObject({}),
  added_tokens: z.array(addedToken).optional(),
});

/** A special token is named by its text, or by an object that has it. */
const tokenName = z.union([z.string(), addedToken]).nullish();
const SPECIAL_TOKENS = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
] as const;
const tokenizerConfigSchema = z.looseObject({
  ...Object.fromEntries(SPECIAL_TOKENS.map((key) => [key, tokenName])) as Record<
    typeof SPECIAL_TOKENS[number],
    typeof tokenName
  >,
  additional_special_tokens: z.array(tokenName).nullish(),
});

/**
 * Opens the tokenizer of a model folder (tokenizer.json, and tokenizer_config.json where there is one).
 * @throws {CheckpointFormatError} when tokenizer.json is missing or is not one.
 */
export async function openTokenizer(folder: ModelFolder): Promise<Tokenizer> {
  const { json, config } = await readTokenizerFiles(folder);
  const tokenizer = createTokenizer(json, config, folder);
  const named = (name: "bos_token" | "eos_token") => {
    const text = tokenText(config[name]);
    const id = text === undefined ? undefined : tokenizer.token_to_id(text);
    return id === undefined ? null : { id, text: text! };
  };
  const eos = named("eos_token");
  return {
    eosTokenId: eos?.id ?? null,
    textStart: named("bos_token") ?? eos,
    encode: (text, { addSpecialTokens = true } = {}) =>
      Promise.resolve(tokenizer.encode(text, { add_special_tokens: addSpecialTokens }).ids),
    decode: (ids) =>
      Promise.resolve(
        ids.length === 0 ? "" : tokenizer.decode([...ids], { skip_special_tokens: true }),
      ),
    [Symbol.dispose]: () => {},
  };
}

/** What the files of a tokenizer say. */
export interface TokenizerFiles {
  /** tokenizer.json, with every special token that the config names among its added tokens. */
  readonly json: TokenizerJson;
  /** tokenizer_config.json; empty where there is none. */
  readonly config: z.infer<typeof tokenizerConfigSchema>;
}

/** @throws {CheckpointFormatError} when tokenizer.json is missing, or one of the two is not what its name says. */
export async function readTokenizerFiles(folder: ModelFolder): Promise<TokenizerFiles> {
  const json = await readJson(folder, "tokenizer.json", tokenizerSchema);
  const config = await folder.has("tokenizer_config.json")
    ? await readJson(folder, "tokenizer_config.json", tokenizerConfigSchema)
    : {};
  return { json: withSpecialTokens(json, config, folder), config };
}

/** The text of a token that is named by it, or by an object that has it. */
export function tokenText(token: z.infer<typeof tokenName>): string | undefined {
  return typeof token === "string" ? token : token?.content;
}

/**
 * transformers makes every special token that tokenizer_config.json names an added token, which text is split at before
 * anything else; tokenizer.json need not list it. Names that the vocabulary lacks are left out.
 */
function withSpecialTokens(
  json: z.infer<typeof tokenizerSchema>,
  names: z.infer<typeof tokenizerConfigSchema>,
  folder: ModelFolder,
): z.infer<typeof tokenizerSchema> {
  const added = json.added_tokens ?? [];
  const known = new Set(added.map(({ content }) => content));
  const special = [
    ...SPECIAL_TOKENS.map((key) => tokenText(names[key])),
    ...(names.additional_special_tokens ?? []).map(tokenText),
  ].filter((text) => text !== undefined && !known.has(text));
  if (special.length === 0) return json;
  const plain = createTokenizer(json, names, folder);
  const missing = [...new Set(special)].flatMap((content) => {
    const id = content === undefined ? undefined : plain.token_to_id(content);
    if (id === undefined) return [];
    const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
    return [{ id, content: content!, ...flags, special: true }];
  });
  return { ...json, added_tokens: [...added, ...missing] };
}

function createTokenizer(json: object, config: object, folder: ModelFolder): HuggingFaceTokenizer {
  try {
    return new HuggingFaceTokenizer(json, config);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CheckpointFormatError(
      `it cannot be used as a tokenizer (${reason}); Lopper needs a tokenizer.json as the tokenizers library writes it`,
      { file: `${folder.name}/tokenizer.json` },
      { cause: error },
    );
  }
}
