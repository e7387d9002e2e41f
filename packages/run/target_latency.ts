import type { Backend } from "@lopper/backends";
import {
  type Architecture,
  type Block,
  denseShape,
  formatMilliseconds,
  isSameKind,
  latencyOf,
  type LatencyTable,
  median,
  ResumeError,
  timedKind,
  UsageError,
} from "@lopper/core";
import type { Model } from "@lopper/models";
import { Decoder, LaidOutWeights, measureLatencies, measureSpeed } from "@lopper/runtime";
import { reachableSizes } from "@lopper/search";
import { weightRoom } from "./memory.ts";
import { groupSizes } from "./search_tools.ts";
import type { RunFlags } from "./schemas/flags.ts";
import type { RunSettings } from "./schemas/settings.ts";

/** Tokens of the text after which a token is timed, where the model takes as many. */
const PAST_TOKENS = 128;
/** Passes for each size of the table. */
const ROUNDS = 9;
/** Tokens that are decoded one by one to measure a whole model, and how often. */
const MEASURED = { tokens: 16, repeats: 9 } as const;

/** What models are timed with. */
export interface TimingTools {
  readonly backend: Backend;
  /** Bytes that the model may take, as there are now. */
  readonly memory: () => number;
  /** Hears of the passes done, of all; may throw to stop. */
  readonly onProgress: (done: number, total: number) => void;
}

/**
 * The table that a run began with, or a new one: times are never the same again, and a run that
 * goes on has to decide as it did.
 * @param saved settings of the run that goes on, or null.
 * @throws {ResumeError} when it was begun without a table, or with that of another model.
 * @throws {InsufficientMemoryError} when the model alone does not fit.
 */
export function latencyTable(
  model: Model,
  flags: RunFlags,
  saved: RunSettings | null,
  tools: TimingTools,
): Promise<LatencyTable> {
  if (saved?.latencies) {
    checkLatencies(saved.latencies, model.architecture.blocks);
    return Promise.resolve(saved.latencies);
  }
  if (saved) {
    throw new ResumeError(
      "the run that is to go on has no table of latencies in its settings.json; start again with --overwrite",
    );
  }
  const { onProgress } = tools;
  const sizes = reachableSizes(model.architecture.blocks, groupSizes(flags));
  const options = { pastTokens: pastTokens(model.architecture), rounds: ROUNDS, onProgress };
  return alone(model, tools, (decoder) => measureLatencies(decoder, sizes, options));
}

/** @throws {ResumeError} when blocks of the model are of a kind that was not timed. */
export function checkLatencies({ curves }: LatencyTable, blocks: readonly Block[]) {
  for (const block of blocks) {
    const kind = timedKind(block);
    if (curves.some((curve) => isSameKind(curve, kind))) continue;
    throw new ResumeError(
      `the table of latencies in settings.json has no ${kind.kind} with ${kind.unitWidth} channels in a unit, and the model ` +
        "has; start again with --overwrite",
    );
  }
}

/**
 * What has to go for a token to take `flags.targetLatency`, in per cent of what the table predicts
 * for the dense model.
 * @param title what the model is called in a message.
 * @throws {UsageError} when the dense model is that fast already.
 */
export function ratioForLatency(
  model: Model,
  title: string,
  table: LatencyTable,
  target: number,
): number {
  const dense = latencyOf(table, model.architecture.blocks)
    .amount(denseShape(model.architecture.blocks));
  if (target >= dense) {
    throw new UsageError(
      `--target-latency is ${formatMilliseconds(target)}, and ${title} is predicted to take ${
        formatMilliseconds(dense)
      } for a token already; it needs less`,
    );
  }
  return (1 - target / dense) * 100;
}

/**
 * Milliseconds that a whole model takes for each token after as many as the table's, the median of
 * several times.
 */
export async function measuredLatency(
  model: Model,
  { pastTokens }: LatencyTable,
  tools: TimingTools,
): Promise<number> {
  const { tokens: decodeTokens, repeats } = MEASURED;
  const { vocabSize } = model.architecture;
  const prompt = Array.from({ length: pastTokens }, (_, i) => i % vocabSize);
  const { decodeSeconds } = await alone(
    model,
    tools,
    (decoder) =>
      measureSpeed(decoder, prompt, { decodeTokens, repeats, onProgress: tools.onProgress }),
  );
  return median(decodeSeconds) / decodeTokens * 1000;
}

function pastTokens(architecture: Architecture): number {
  return Math.max(1, Math.min(PAST_TOKENS, architecture.maxPositions - MEASURED.tokens));
}

/** Runs a model with nothing else in the budget, as `generate` and `compare` do. */
async function alone<T>(
  model: Model,
  { backend, memory }: TimingTools,
  use: (decoder: Decoder) => Promise<T>,
): Promise<T> {
  const { architecture } = model;
  const length = pastTokens(architecture) + MEASURED.tokens;
  const size = { tokens: length, length };
  const room = weightRoom(model, backend.description, size, memory());
  const weights = await LaidOutWeights.load(model, room);
  await using decoder = new Decoder(backend, weights);
  return await use(decoder);
}
