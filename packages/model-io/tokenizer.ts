import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { CheckpointFormatError } from "@lopper/core";
import { z } from "zod";
import { readJson } from "./json.ts";
import type { ModelFolder } from "./model_folder.ts";

/** Text to token ids and back, as the model's own tokenizer does it. */
export interface Tokenizer {
  /** Token ids of `text`, with the special tokens that the tokenizer adds unless told otherwise. */
  encode(text: string, options?: { addSpecialTokens?: boolean }): readonly number[];
  /** Text of `ids`, special tokens left out. */
  decode(ids: readonly number[]): string;
  /** Id of the token that tokenizer_config.json names as the end of text, or null. */
  readonly eosTokenId: number | null;
}

const tokenizerSchema = z.looseObject({ model: z.looseObject({}) });
const tokenizerConfigSchema = z.looseObject({
  eos_token: z.union([z.string(), z.looseObject({ content: z.string() })]).nullish(),
});

/**
 * Opens the tokenizer of a model folder (tokenizer.json, and tokenizer_config.json where there is one).
 * @throws {CheckpointFormatError} when tokenizer.json is missing or is not one.
 */
export async function openTokenizer(folder: ModelFolder): Promise<Tokenizer> {
  const tokenizerJson = await readJson(folder, "tokenizer.json", tokenizerSchema);
  const config = await folder.has("tokenizer_config.json")
    ? await readJson(folder, "tokenizer_config.json", tokenizerConfigSchema)
    : {};
  const eos = typeof config.eos_token === "string" ? config.eos_token : config.eos_token?.content;
  let tokenizer: HuggingFaceTokenizer;
  try {
    tokenizer = new HuggingFaceTokenizer(tokenizerJson, config);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CheckpointFormatError(
      `it cannot be used as a tokenizer (${reason}); Lopper needs a tokenizer.json as the tokenizers library writes it`,
      { file: `${folder.name}/tokenizer.json` },
      { cause: error },
    );
  }
  return {
    eosTokenId: eos === undefined ? null : tokenizer.token_to_id(eos) ?? null,
    encode: (text, { addSpecialTokens = true } = {}) =>
      tokenizer.encode(text, { add_special_tokens: addSpecialTokens }).ids,
    decode: (ids) =>
      ids.length === 0 ? "" : tokenizer.decode([...ids], { skip_special_tokens: true }),
  };
}
