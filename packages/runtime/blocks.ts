import { type Feeds, float32, float32Data } from "@lopper/backends";
import { type Architecture, type Block, type BlockSize, sizeOf } from "@lopper/core";
import {
  blockGraph,
  blockGraphKey,
  blockInputGraph,
  type Capture,
  inputNorms,
} from "@lopper/graphs";
import type { GraphRuns } from "./graph_runs.ts";
import type { AttentionMask, HiddenStates, KeyValues } from "./hidden_states.ts";
import { type AttentionRun, TokenFeeds } from "./token_feeds.ts";
import { type ExpertSums, type MixtureRun, Mixtures } from "./mixtures.ts";
import { weightFeeds } from "./weight_feeds.ts";
import type { LaidOutWeights } from "./weight_layout.ts";

/** Names of the fetches with what was captured inside a block. */
const CAPTURE_FETCH = { energy: "energy", values: "captured" } as const;

/**
 * How a block runs; sequences of text, and nothing but the output, unless something else is said.
 */
export interface BlockRunOptions {
  /** What the tokens follow. Only for blocks that are attended. */
  readonly past?: KeyValues;
  /** What the tokens attend to, instead of a past and those before them. */
  readonly mask?: AttentionMask;
  /**
   * What to capture of the activation that enters the block's last projection; of a mixture, the
   * energy of the channels of its experts.
   */
  readonly capture?: Capture;
  /** Of a mixture: hears of what each expert adds. */
  readonly onRouted?: MixtureRun["onRouted"];
}

/** What a block makes of its input. */
export interface BlockOutput {
  readonly hidden: HiddenStates;
  /** Of attention that was given a past: its keys and values with those of the input. */
  readonly present: KeyValues | null;
  /** Where it was asked for. */
  readonly captured?: Float32Array;
  /** Of a mixture of experts. */
  readonly experts?: ExpertSums;
}

/** The blocks of a model, of whatever kind, each in the size that it is given. */
export class Blocks {
  readonly #architecture: Architecture;
  readonly #weights: LaidOutWeights;
  readonly #runs: GraphRuns;
  readonly #tokens: TokenFeeds;
  readonly #mixtures: Mixtures;
  /** Each with the number of the first block whose graph it shares. */
  readonly #blocks: readonly { readonly block: Block; readonly graph: number }[];

  constructor(runs: GraphRuns, weights: LaidOutWeights) {
    this.#runs = runs;
    this.#weights = weights;
    this.#architecture = weights.architecture;
    this.#mixtures = new Mixtures(runs, weights);
    this.#tokens = new TokenFeeds(this.#architecture, runs.backend.description);
    const keys = this.#architecture.blocks.map(blockGraphKey);
    this.#blocks = this.#architecture.blocks.map((block, i) => ({
      block,
      graph: keys.indexOf(keys[i]),
    }));
  }

  /** Runs a block. */
  async run(
    number: number,
    size: BlockSize,
    input: HiddenStates,
    options: BlockRunOptions = {},
  ): Promise<BlockOutput> {
    const { block, graph } = this.#blocks[number];
    const { capture } = options;
    if (block.routing) return await this.#mixture(number, size, input, options);
    const attended = this.#attention(block, size, input, options);
    const { hiddenSize, norm } = this.#architecture;
    const parallel = block.parallel && input.base !== undefined;
    const run = await this.#runs.compiled(
      JSON.stringify([graph, attended?.attention, capture, parallel]),
      () =>
        blockGraph(block, { hiddenSize, norm, attention: attended?.attention, capture, parallel }),
    );
    const dims = [input.batch, input.length, hiddenSize];
    const fetches = await this.#runs.inTurn(async () =>
      await run.run({
        hidden: float32(input.data, dims),
        ...(parallel && { base: float32(input.base!, dims) }),
        ...weightFeeds(await this.#weights.block(number, size)),
        ...attended?.feeds,
      })
    );
    const kept = attended?.attention.kvCache ? attended : undefined;
    return {
      hidden: {
        ...{ batch: input.batch, length: input.length, data: float32Data(fetches, "out") },
        ...this.#base(number, input),
      },
      present: kept ? presentOf(fetches, kept.total) : null,
      captured: capture && float32Data(fetches, CAPTURE_FETCH[capture]),
    };
  }

  /** What enters the first projections of a block, `[batch · length, hiddenSize]`. */
  async input(number: number, input: HiddenStates): Promise<Float32Array> {
    const { block, graph } = this.#blocks[number];
    const { hiddenSize, norm } = this.#architecture;
    const read = block.parallel ? input.base ?? input.data : input.data;
    const run = await this.#runs.compiled(
      JSON.stringify([graph, "input"]),
      () => blockInputGraph(block, { hiddenSize, norm }),
    );
    const norms = inputNorms(block);
    const fetches = await this.#runs.inTurn(async () =>
      await run.run({
        hidden: float32(read, [input.batch, input.length, hiddenSize]),
        ...weightFeeds(await this.#weights.block(number, sizeOf(block), norms)),
      })
    );
    return float32Data(fetches, "entering");
  }

  async #mixture(
    number: number,
    size: BlockSize,
    input: HiddenStates,
    { onRouted, capture }: BlockRunOptions,
  ): Promise<BlockOutput> {
    const { block } = this.#blocks[number];
    const sees = block.parallel ? input.base : undefined;
    const { hidden, sums } = await this.#mixtures.run(number, size, input, {
      ...{ sees, onRouted },
      energy: capture === "energy",
    });
    return { hidden: { ...hidden, ...this.#base(number, input) }, present: null, experts: sums };
  }

  /** What leaves a block that is removed: what entered it, without what no later block reads. */
  passed(number: number, input: HiddenStates): HiddenStates {
    if (!input.base) return input;
    const { base, ...rest } = input;
    const isRead = this.#blocks[number].block.parallel && this.#isBeforeParallel(number);
    return isRead ? { ...rest, base } : rest;
  }

  /** What the layer was given, where the next block reads that. */
  #base(number: number, input: HiddenStates): Pick<HiddenStates, "base"> {
    const { block } = this.#blocks[number];
    return this.#isBeforeParallel(number)
      ? { base: block.parallel ? input.base ?? input.data : input.data }
      : {};
  }

  /** How the tokens of a block that is attended see one another. */
  #attention(
    block: Block,
    size: BlockSize,
    input: HiddenStates,
    { past, mask }: BlockRunOptions,
  ): AttentionRun | undefined {
    if (!block.attention) return undefined;
    if (mask) return this.#tokens.within(block, input, mask);
    return this.#tokens.causal(block, size, input, past ?? null);
  }

  /** Whether the next block reads what this one reads. */
  #isBeforeParallel(number: number): boolean {
    const next = this.#blocks[number + 1]?.block;
    return next?.parallel === true && next.layer === this.#blocks[number].block.layer;
  }
}

function presentOf(fetches: Feeds, length: number): KeyValues {
  return {
    length,
    keys: float32Data(fetches, "present_key"),
    values: float32Data(fetches, "present_value"),
  };
}
