import { mean } from "@lopper/core";
import { type CalibrationSet, sequenceMeans } from "@lopper/importance";
import type { Tokenizer } from "@lopper/tokenizers";
import type { LossIncrease } from "./loss_increase_schema.ts";
import { type TokenKind, TokenKinds } from "./token_kind.ts";

/** Tokens of a stretch that is shown. */
const STRETCH = 40;
/** Passages whose worst stretch is kept: enough for a page, and a record stays small. */
const SHOWN = 5;

/** One of several texts, and how many passages are its. */
interface TextPassages {
  readonly name: string;
  readonly passages: number;
}

/**
 * How the losses of a text changed: passage by passage, with the stretch of those that suffered
 * most, and by kind of token.
 * @param dense NLL after every position, `[sequences · length]` in nats; the last of each sequence
 *   predicts nothing.
 * @param pruned the same of the pruned model.
 * @param texts which passages are of which text, one after the other; none where it is one.
 */
export async function lossIncrease(
  { sequences, ignoredLabel }: CalibrationSet,
  dense: Float32Array,
  pruned: Float32Array,
  tokenizer: Tokenizer,
  texts: readonly TextPassages[] = [],
): Promise<LossIncrease> {
  const before = sequenceMeans(dense, sequences, ignoredLabel);
  const after = sequenceMeans(pruned, sequences, ignoredLabel);
  const worst = sequences.map((_, i) => i)
    .filter((i) => Number.isFinite(after[i] - before[i]))
    .sort((a, b) => after[b] - before[b] - (after[a] - before[a]))
    .slice(0, SHOWN);
  const passages = await Promise.all(sequences.map(async (ids, i) => ({
    dense: before[i],
    pruned: after[i],
    ...(worst.includes(i) && {
      worst: await worstStretch(ids, i * ids.length, { dense, pruned }, tokenizer),
    }),
  })));
  return {
    passages,
    ...(texts.length > 0 && {
      texts: passagesByText({ passages, texts }).map(({ name, passages }) => ({
        name,
        passages: passages.length,
        dense: mean(passages.map(({ dense }) => dense)),
        pruned: mean(passages.map(({ pruned }) => pruned)),
      })),
    }),
    tokens: byKind(
      sequences,
      ignoredLabel,
      { dense, pruned },
      await TokenKinds.of(sequences, tokenizer),
    ),
  };
}

/** The passages of each of several texts; none where it is one. */
export function passagesByText<T>(
  { passages, texts = [] }: {
    readonly passages: readonly T[];
    readonly texts?: readonly TextPassages[];
  },
): readonly { readonly name: string; readonly passages: readonly T[] }[] {
  let first = 0;
  return texts.map(({ name, passages: count }) => ({
    name,
    passages: passages.slice(first, first += count),
  }));
}

interface Losses {
  readonly dense: Float32Array;
  readonly pruned: Float32Array;
}

/**
 * The text of the stretch of a sequence whose loss grew most; its first token is one that was
 * predicted.
 */
async function worstStretch(
  ids: readonly number[],
  start: number,
  { dense, pruned }: Losses,
  tokenizer: Tokenizer,
): Promise<string> {
  const grown = (i: number) => pruned[start + i] - dense[start + i];
  const length = Math.min(STRETCH, ids.length - 1);
  let sum = 0;
  for (let i = 0; i < length; i++) sum += grown(i);
  let [best, most] = [0, sum];
  for (let first = 1; first + length < ids.length; first++) {
    sum += grown(first + length - 1) - grown(first - 1);
    if (sum > most) [best, most] = [first, sum];
  }
  const text = await tokenizer.decode(ids.slice(best + 1, best + 1 + length));
  return text.replace(/\s+/g, " ").trim();
}

function byKind(
  sequences: readonly (readonly number[])[],
  ignoredLabel: number | null,
  { dense, pruned }: Losses,
  kinds: TokenKinds,
): LossIncrease["tokens"] {
  const sums = new Map<TokenKind, { count: number; dense: number; pruned: number }>();
  sequences.forEach((ids, s) => {
    for (let i = 0; i + 1 < ids.length; i++) {
      if (ids[i + 1] === ignoredLabel) continue;
      const kind = kinds.kindOf(ids[i + 1], ids[i]);
      const sum = sums.get(kind) ?? { count: 0, dense: 0, pruned: 0 };
      sum.count += 1;
      sum.dense += dense[s * ids.length + i];
      sum.pruned += pruned[s * ids.length + i];
      sums.set(kind, sum);
    }
  });
  return [...sums]
    .map(([kind, { count, dense, pruned }]) => ({
      kind,
      count,
      dense: dense / count,
      pruned: pruned / count,
    }))
    .sort((a, b) => b.count - a.count);
}
