import type { ModelFolder } from "@lopper/formats";
import { readTokenizerFiles } from "./files.ts";
import { tokenText } from "./schemas.ts";
import { TokenizerThread } from "./thread.ts";

/**
 * Text to token ids and back, as the model's own tokenizer does it. It works in a thread of its
 * own, so that patterns that find no end keep nobody else; whoever opens one disposes of it.
 */
export interface Tokenizer extends Disposable {
  /**
   * Token ids of `text`, with the special tokens that the tokenizer adds unless told otherwise.
   * @throws {CheckpointFormatError} when the tokenizer fails on the text, or finds no end.
   */
  encode(text: string, options?: { addSpecialTokens?: boolean }): Promise<readonly number[]>;
  /** Text of `ids`, special tokens left out. @throws {CheckpointFormatError} as `encode`. */
  decode(ids: readonly number[]): Promise<string>;
  /** Id of the token that tokenizer_config.json names as the end of text, or null. */
  readonly eosTokenId: number | null;
  /**
   * What stands before a text: the BOS token that tokenizer_config.json names, else the EOS token,
   * or null.
   */
  readonly textStart: { readonly id: number; readonly text: string } | null;
}

/**
 * Opens the tokenizer of a model folder: tokenizer.json, and what the files beside it say of added
 * and special tokens.
 * @param options.silenceMs milliseconds after which a tokenizer that does not answer is given up.
 * @throws {CheckpointFormatError} when tokenizer.json is missing, or a file is not what its name
 *   says.
 */
export async function openTokenizer(
  folder: ModelFolder,
  { silenceMs }: { readonly silenceMs?: number } = {},
): Promise<Tokenizer> {
  const files = await readTokenizerFiles(folder);
  const { text, config, vocabulary, added, templateIds } = files;
  const ids = new Map(added.map(({ content, id }) => [content, id]));
  const named = (name: "bos_token" | "eos_token") => {
    const text = tokenText(config[name]);
    const id = text === undefined ? undefined : ids.get(text) ?? vocabulary.ids.get(text);
    return id === undefined ? null : { id, text: text! };
  };
  const eos = named("eos_token");
  const file = `${folder.name}/tokenizer.json`;
  const thread = await TokenizerThread.open({ text, config, added, templateIds }, file, silenceMs);
  return {
    eosTokenId: eos?.id ?? null,
    textStart: named("bos_token") ?? eos,
    encode: async (text, { addSpecialTokens = true } = {}) =>
      Array.from(await thread.ask({ encode: text, addSpecialTokens }) as Int32Array),
    decode: async (tokens) => await thread.ask({ decode: tokens }) as string,
    [Symbol.dispose]: () => thread[Symbol.dispose](),
  };
}
