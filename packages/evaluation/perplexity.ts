import { EvaluationError } from "@lopper/core";
import { perplexity, sequenceMeans } from "@lopper/importance";
import { type BosRule, textSequences, type Tokenizer } from "@lopper/tokenizers";
import { z } from "zod";
import { checkRow } from "./row.ts";

/** A text cut into windows of equally many tokens. */
export interface TextWindows {
  readonly windows: readonly (readonly number[])[];
  /** Tokens of a window. */
  readonly length: number;
  /** Of the whole text, the tail that fills no window included. */
  readonly tokens: number;
  /** Of the whole text in UTF-8. */
  readonly bytes: number;
}

export interface TextResult {
  /** exp of the mean negative log-likelihood of all predicted tokens. */
  readonly perplexity: number;
  /**
   * That mean in bits, times the text's tokens a byte: what tokenizers of any kind can be compared
   * by.
   */
  readonly bitsPerByte: number;
  readonly windows: number;
  /** Tokens of a window; all but the first are predicted. */
  readonly length: number;
  /** Tokens and bytes of the whole text. */
  readonly tokens: number;
  readonly bytes: number;
  /** Mean negative log-likelihood of each window in nats per token, for paired comparisons. */
  readonly windowNll: readonly number[];
}

/**
 * What runs whole sequences: negative log-likelihoods in nats after every position, `[sequences ·
 * length]`.
 */
export interface SequenceScorer {
  nll(sequences: readonly (readonly number[])[]): Promise<Float32Array>;
}

/**
 * Tokenises a text at once and cuts it into windows without overlap; the tail is dropped, as
 * pruning papers do. In their windows, no BOS token stands but in the first: that is the rule
 * "first".
 * @param what the text's name in the message.
 * @throws {EvaluationError} when the text has fewer tokens than one window, or a window none to
 *   predict.
 */
export async function textWindows(
  text: string,
  tokenizer: Tokenizer,
  { length, bos }: { readonly length: number; readonly bos: BosRule },
  what = "the text",
): Promise<TextWindows> {
  const refuse = (problem: string) => new EvaluationError(`${what}: ${problem}`);
  const options = { length, bos, refuse };
  const { sequences: windows, tokens, taken } = await textSequences(tokenizer, text, options);
  if (windows.length === 0 || length < 2) {
    throw new EvaluationError(
      `${what} has ${tokens} tokens and a window ${taken}; it needs one window at least, of 2 tokens or more (--seq-len)`,
    );
  }
  return {
    windows,
    length,
    tokens,
    bytes: new TextEncoder().encode(text).byteLength,
  };
}

export interface PerplexityOptions {
  /** Mean negative log-likelihoods that are known already, by number of the window. */
  readonly known?: ReadonlyMap<number, number>;
  /** Hears of every window that was scored, before the next one begins. */
  readonly onScored?: (window: number, nll: number) => Promise<void> | void;
  /** Hears how many windows are done. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** The perplexity of a text, window by window. */
export async function textPerplexity(
  scorer: SequenceScorer,
  { windows, length, tokens, bytes }: TextWindows,
  { known = new Map(), onScored, onProgress }: PerplexityOptions = {},
): Promise<TextResult> {
  const windowNll: number[] = [];
  for (const [i, window] of windows.entries()) {
    let nll = known.get(i);
    if (nll === undefined) {
      [nll] = sequenceMeans(await scorer.nll([window]), [window], null);
      await onScored?.(i, nll);
    }
    windowNll.push(nll);
    onProgress?.(i + 1, windows.length);
  }
  const ppl = perplexity(windowNll);
  return {
    perplexity: ppl,
    bitsPerByte: Math.log2(ppl) * tokens / bytes,
    windows: windows.length,
    length,
    tokens,
    bytes,
    windowNll,
  };
}

const textRow = z.looseObject({ text: z.string() });

/** Rows of text joined with a blank line, as pruning papers join WikiText's. */
export function joinedText(rows: readonly unknown[], file: string): string {
  return rows.map((row, i) => checkRow(row, textRow, `${file}, row ${i + 1}`).text).join("\n\n");
}
