import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { CheckpointFormatError } from "@lopper/core";
import type { ModelFolder } from "./model_folder.ts";
import { readTokenizerFiles } from "./tokenizer/files.ts";
import { tokenText } from "./tokenizer/schemas.ts";

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

/**
 * Opens the tokenizer of a model folder: tokenizer.json, and what the files beside it say of added and special tokens.
 * @throws {CheckpointFormatError} when tokenizer.json is missing, or a file is not what its name says.
 */
export async function openTokenizer(folder: ModelFolder): Promise<Tokenizer> {
  const { json, config, vocabulary, added } = await readTokenizerFiles(folder);
  const ids = new Map([...vocabulary, ...added.map(({ content, id }) => [content, id] as const)]);
  const tokenizer = createTokenizer(json, config, folder);
  const named = (name: "bos_token" | "eos_token") => {
    const text = tokenText(config[name]);
    const id = text === undefined ? undefined : ids.get(text);
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
