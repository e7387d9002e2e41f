import type { Backend } from "@lopper/backends";
import {
  type Architecture,
  CheckpointFormatError,
  countParameters,
  denseShape,
} from "@lopper/core";
import {
  type CalibrationSet,
  perplexity,
  sequenceMeans,
  SuffixScorer,
  tokenCount,
} from "@lopper/importance";
import { modelDigest } from "@lopper/models";
import { Decoder, generate, type GenerateOptions, LaidOutWeights } from "@lopper/runtime";
import type { Tokenizer } from "@lopper/tokenizers";
import type { MemoryPlan, WeightRoom } from "./memory.ts";
import type { RunStore } from "./store.ts";
import type { RunTexts } from "./texts.ts";
import type { HeldOutSample } from "./schemas/record.ts";

/** What one model is worth. */
export interface ModelMeasures {
  /** Perplexity on the block samples. */
  readonly calibration: number;
  /** Perplexity on text that the search never saw. */
  readonly heldOut: number;
  /** How it continues `SAMPLE_PROMPT`. */
  readonly continuation: string;
  /** How it continues each of the prompts. */
  readonly heldOutContinuations: readonly string[];
  /** NLL after every position, `[sequences · length]` in nats. */
  readonly nll: { readonly calibration: Float32Array; readonly heldOut: Float32Array };
}

export interface PrunedMeasures extends ModelMeasures {
  readonly digest: string;
  readonly parameters: number;
  /** Bytes of the weight tensors. */
  readonly bytes: number;
}

export const SAMPLE_PROMPT = "The old man looked at the sea and";
const SAMPLE_TOKENS = 32;
/** Of a model that stays in the file, which is read anew for each of them. */
const SAMPLE_TOKENS_IN_FILE = 4;
/** Of the held-out text, tokens that a model is given and those that it adds. */
const HELD_OUT_TOKENS = { given: 24, continued: 24 } as const;

/** What models are measured on. */
export interface MeasuredOn {
  readonly texts: RunTexts;
  readonly prompts: readonly HeldOutPrompt[];
  readonly tokenizer: Tokenizer;
}

/**
 * Measures a model. `onProgress` hears the tokens done, and those to do.
 * @param memory of the dense one, by which both write as much.
 */
export async function measureModel(
  decoder: Decoder,
  { texts, prompts, tokenizer }: MeasuredOn,
  { inFileBytes }: Pick<MemoryPlan, "inFileBytes">,
  onProgress: (done: number, total: number) => void,
): Promise<ModelMeasures> {
  const total = tokenCount(texts.block) + tokenCount(texts.heldOut);
  let done = 0;
  const nllOn = async (set: CalibrationSet) => {
    const scorer = new SuffixScorer(decoder, set, { cacheBytes: 0 });
    const nll = await scorer.tokenNll(
      denseShape(decoder.blocks),
      (n) => onProgress(done + n, total),
    );
    done += tokenCount(set);
    return nll;
  };
  const perplexityOf = ({ sequences, ignoredLabel }: CalibrationSet, nll: Float32Array) =>
    perplexity(sequenceMeans(nll, sequences, ignoredLabel));
  const nll = { calibration: await nllOn(texts.block), heldOut: await nllOn(texts.heldOut) };
  const heldOutContinuations: string[] = [];
  for (const { prompt } of prompts) {
    const greedy = { maxTokens: HELD_OUT_TOKENS.continued, temperature: 0, seed: 0 };
    heldOutContinuations.push(await continuation(decoder, tokenizer, prompt, greedy));
  }
  const maxTokens = inFileBytes > 0 ? SAMPLE_TOKENS_IN_FILE : SAMPLE_TOKENS;
  const sampled = { maxTokens, temperature: 0.7, seed: 42 };
  return {
    calibration: perplexityOf(texts.block, nll.calibration),
    heldOut: perplexityOf(texts.heldOut, nll.heldOut),
    continuation: await continuation(
      decoder,
      tokenizer,
      await tokenizer.encode(SAMPLE_PROMPT),
      sampled,
    ),
    heldOutContinuations,
    nll,
  };
}

/**
 * What the two models make of places of the held-out text, beside what the text itself says there.
 */
export async function heldOutSamples(
  { prompts, tokenizer }: MeasuredOn,
  dense: ModelMeasures,
  pruned: ModelMeasures,
): Promise<readonly HeldOutSample[]> {
  const read = async (ids: readonly number[]) => oneLine(await tokenizer.decode(ids));
  return await Promise.all(prompts.map(async ({ prompt, rest }, i) => ({
    prompt: await read(prompt),
    original: await read(rest),
    dense: dense.heldOutContinuations[i],
    pruned: pruned.heldOutContinuations[i],
  })));
}

/** A place of the held-out text, in tokens: what a model is given, and how the text goes on. */
export interface HeldOutPrompt {
  readonly prompt: readonly number[];
  readonly rest: readonly number[];
}

/** Models with more parameters take too long over each word. */
const MAX_PARAMETERS = 1e9;

/**
 * The beginnings of two passages of the held-out text; none where a model is slow, or the passages
 * are short.
 */
export function heldOutPrompts(
  { heldOut: { sequences, length } }: RunTexts,
  architecture: Architecture,
): readonly HeldOutPrompt[] {
  const { given, continued } = HELD_OUT_TOKENS;
  if (length < given + continued || countParameters(architecture).total > MAX_PARAMETERS) return [];
  const third = Math.floor(sequences.length / 3);
  return [...new Set([third, 2 * third])].map((i) => ({
    prompt: sequences[i].slice(0, given),
    rest: sequences[i].slice(given, given + continued),
  }));
}

/**
 * Opens what was written and measures it: what the record says of the pruned model is said of what
 * was written.
 */
export async function measureWritten(
  backend: Backend,
  store: Pick<RunStore, "reopen">,
  room: WeightRoom,
  measure: (decoder: Decoder) => Promise<ModelMeasures>,
): Promise<PrunedMeasures> {
  using model = await store.reopen();
  const weights = await LaidOutWeights.load(model, room);
  await using decoder = new Decoder(backend, weights);
  return {
    ...await measure(decoder),
    digest: await modelDigest(model),
    parameters: countParameters(model.architecture).total,
    bytes: model.weightBytes,
  };
}

/**
 * Nothing where the model takes fewer tokens than the prompt has. A vocabulary may be larger than
 * the tokenizer's: that a model says what no text stands for ends no run.
 */
async function continuation(
  decoder: Decoder,
  tokenizer: Tokenizer,
  prompt: readonly number[],
  options: GenerateOptions,
): Promise<string> {
  if (prompt.length > decoder.architecture.maxPositions) return "";
  const ids = [...prompt];
  for await (const id of generate(decoder, prompt, options)) ids.push(id);
  const given = await tokenizer.decode(prompt);
  try {
    return oneLine((await tokenizer.decode(ids)).slice(given.length));
  } catch (error) {
    if (!(error instanceof CheckpointFormatError)) throw error;
    return "(tokens that the tokenizer has no text for)";
  }
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}
