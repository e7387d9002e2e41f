import { EvaluationError } from "@lopper/core";
import type { Tokenizer } from "@lopper/tokenizers";
import { trailingSpace } from "./python_text.ts";
import type { TextRequest } from "./task.ts";

/** Token ids, the last ones of which are to be scored. */
export interface TokenRequest {
  /** Context and continuation. */
  readonly tokens: readonly number[];
  /** How many of the last tokens are the continuation, at least 1. */
  readonly scored: number;
}

/** A request as a model takes it. */
export interface EncodedRequest extends TokenRequest {
  /** How many tokens of the context's beginning the model has no room for. */
  readonly omitted: number;
}

export interface EncodeOptions {
  /** Most tokens that the model takes. */
  readonly maxLength: number;
  /**
   * Whether the tokenizer adds the special tokens that it adds by itself, such as BOS before a
   * Llama model's text.
   */
  readonly addSpecialTokens: boolean;
}

/**
 * The tokens of a request as lm-evaluation-harness makes them (`_encode_pair`,
 * `_loglikelihood_tokens`, version 0.4.13): white space at the end of the context goes over to the
 * continuation; the context is tokenised alone, and of the tokens of both texts together those
 * behind as many are the continuation; of too many tokens the last `maxLength` + 1 stay.
 * @throws {EvaluationError} when the continuation has no tokens, more than the model takes, or no
 *   context.
 */
export async function encodeRequest(
  { context, continuation }: TextRequest,
  tokenizer: Tokenizer,
  { maxLength, addSpecialTokens }: EncodeOptions,
): Promise<EncodedRequest> {
  const { tokens, scored } =
    await (context === ""
      ? encodeAlone(continuation, tokenizer)
      : encodePair(context, continuation, tokenizer, addSpecialTokens));
  if (scored < 1 || scored > maxLength || scored >= tokens.length) {
    const short = JSON.stringify(continuation.slice(0, 60));
    throw new EvaluationError(
      `the answer ${short} has ${scored} tokens after ${
        tokens.length - scored
      } of its context; it needs one at least on either side, and ${maxLength} at most`,
    );
  }
  // The last token is scored, and not read.
  const room = maxLength + 1;
  return { tokens: tokens.slice(-room), scored, omitted: Math.max(0, tokens.length - room) };
}

async function encodePair(
  context: string,
  continuation: string,
  tokenizer: Tokenizer,
  addSpecialTokens: boolean,
): Promise<TokenRequest> {
  const space = trailingSpace(context);
  const before = context.slice(0, context.length - space.length);
  const encode = (text: string) =>
    tokenizer.encode(text, {
      addSpecialTokens: addSpecialTokens && !beginsText(text, tokenizer),
    });
  const [start, both] = await Promise.all([encode(before), encode(context + continuation)]);
  // Where the two texts melt into one token the model still reads the context as it is alone.
  const rest = both.slice(start.length);
  return { tokens: [...start, ...rest], scored: rest.length };
}

/**
 * Without a context, what begins every text stands for it, unless the continuation has it already.
 */
async function encodeAlone(
  continuation: string,
  tokenizer: Tokenizer,
): Promise<TokenRequest> {
  const tokens = await tokenizer.encode(continuation, { addSpecialTokens: false });
  const { textStart } = tokenizer;
  if (textStart === null) {
    throw new EvaluationError(
      "a question has an empty context, and the tokenizer has neither a BOS nor an EOS token to stand for it",
    );
  }
  return tokens[0] === textStart.id
    ? { tokens, scored: tokens.length - 1 }
    : { tokens: [textStart.id, ...tokens], scored: tokens.length };
}

/** A text that begins with what begins every text gets no second one. */
function beginsText(text: string, { textStart }: Tokenizer): boolean {
  return textStart !== null && text.startsWith(textStart.text);
}
