import { type Executable, type Feeds, float32, float32Data } from "@lopper/backends";
import {
  type Architecture,
  type BlockSize,
  CORRECTION,
  type DeclaredWeight,
  groupOf,
  haveWeight,
  type Routing,
  routingOf,
} from "@lopper/core";
import {
  blockGraphKey,
  expertGraph,
  residualGraph,
  residualWeights,
  routerGraph,
  routerWeights,
} from "@lopper/graphs";
import { ChannelEnergy } from "./channel_energy.ts";
import type { GraphRuns } from "./graph_runs.ts";
import type { HiddenStates } from "./hidden_states.ts";
import { route, type RoutedExperts, type RoutedRows } from "./route.ts";
import { weightFeeds } from "./weight_feeds.ts";
import type { LaidOutWeights } from "./weight_layout.ts";

/** What tokens made of each expert of a mixture, in the order in which the experts lie. */
export interface ExpertSums {
  /** Tokens that went to it. */
  readonly tokens: Float64Array;
  /** The sum over them of ‖f(x)‖², f(x) being what it computes. */
  readonly squares: Float64Array;
  /**
   * The sum over them of g · ‖f(x)‖, g being the weight that f(x) counts, after the weights of a
   * token were divided by their sum.
   */
  readonly weighted: Float64Array;
  /**
   * Where it was asked for, the sum of the square of each channel over the tokens that went to its
   * owner, by the number of the unit; 0 of channels that are not there.
   */
  readonly energy?: Float64Array;
}

/** What one expert adds to the tokens that went to it. */
export interface RoutedOutput {
  /** Of the expert, as they lie. */
  readonly place: number;
  /** The tokens, flattened, ascending. */
  readonly rows: readonly number[];
  /** g · f(x) of each, `[rows, hiddenSize]`. */
  readonly values: Float32Array;
}

/** How a mixture runs. */
export interface MixtureRun {
  /** The hidden states that the block reads, of the input's shape; the input itself unless said. */
  readonly sees?: Float32Array;
  /** Hears of what each expert adds. */
  readonly onRouted?: (output: RoutedOutput) => void;
  /** Whether the energy of channels is summed up, where experts lose some. */
  readonly energy?: boolean;
}

interface MixtureOutput {
  readonly hidden: HiddenStates;
  readonly sums: ExpertSums;
}

/**
 * Mixtures of experts: the router's graph, one run for each expert that tokens go to, on those
 * tokens alone, and the sum. Whose tokens none are is neither read nor run.
 */
export class Mixtures {
  readonly #architecture: Architecture;
  readonly #weights: LaidOutWeights;
  readonly #runs: GraphRuns;

  constructor(runs: GraphRuns, weights: LaidOutWeights) {
    this.#runs = runs;
    this.#weights = weights;
    this.#architecture = weights.architecture;
  }

  async run(
    number: number,
    size: BlockSize,
    input: HiddenStates,
    how: MixtureRun = {},
  ): Promise<MixtureOutput> {
    const block = this.#architecture.blocks[number];
    const { hiddenSize, norm } = this.#architecture;
    const energy = how.energy === true &&
      block.dimensions.some(({ owners }) => owners !== undefined);
    const compiled = (part: string, graph: typeof routerGraph) =>
      this.#runs.compiled(
        JSON.stringify([part, blockGraphKey(block), energy]),
        () => graph(block, { hiddenSize, norm, energy }),
      );
    const graphs = [
      await compiled("router", routerGraph),
      await compiled("expert", expertGraph),
      await compiled("residual", residualGraph),
    ] as const;
    return await this.#runs.inTurn(() =>
      this.#compute(number, size, { input, ...how, energy }, graphs)
    );
  }

  async #compute(
    number: number,
    size: BlockSize,
    { input, sees = input.data, onRouted, energy }: MixtureRun & { readonly input: HiddenStates },
    [router, expert, residual]: readonly [Executable, Executable, Executable],
  ): Promise<MixtureOutput> {
    const { hiddenSize, blocks } = this.#architecture;
    const block = blocks[number];
    const dims = [input.batch, input.length, hiddenSize];
    const routing = await router.run({
      hidden: float32(sees, dims),
      ...await this.#feeds(number, size, routerWeights(block)),
    });
    const normed = float32Data(routing, "normed");
    const added = routing.shared
      ? float32Data(routing, "shared").slice()
      : new Float32Array(normed.length);
    const experts = await this.#experts(number, size);
    const sums = emptySums(experts.count);
    const channels = energy ? new ChannelEnergy(block, size, this.#weights.ranking[number]!) : null;
    if (routing.energy) channels?.addShared(float32Data(routing, "energy"));
    const how = routingOf(block.routing!, experts.count, block.dimensions[0].groups);
    const routed = route(float32Data(routing, "scores"), experts, how);
    const shares = sharesOf(routed, how);
    for (const [place, { rows, weights }] of routed.entries()) {
      if (rows.length === 0) continue;
      const stacked = await this.#weights.expert(number, place, size);
      const run = await expert.run({
        x: float32(gathered(normed, rows, hiddenSize), [rows.length, hiddenSize]),
        ...Object.fromEntries(stacked.map(({ name, data, dims }) => [name, float32(data, dims)])),
      });
      const out = float32Data(run, "out");
      channels?.add(place, float32Data(run, "energy"));
      scatter(added, out, { rows, weights }, hiddenSize);
      onRouted?.({ place, rows, values: weighted(out, weights) });
      count(sums, place, out, rows.map((row, i) => weights[i] / shares[row]));
    }
    const { out } = await residual.run({
      hidden: float32(input.data, dims),
      added: float32(added, dims),
      ...await this.#feeds(number, size, residualWeights(block)),
    });
    const data = float32Data({ out }, "out");
    const hidden = { batch: input.batch, length: input.length, data };
    return { hidden, sums: channels ? { ...sums, energy: channels.sums } : sums };
  }

  /** What is known of the experts that are there, as they lie. */
  async #experts(number: number, size: BlockSize): Promise<RoutedExperts> {
    const block = this.#architecture.blocks[number];
    const [dimension] = block.dimensions;
    const count = size[dimension.name];
    const correction = haveWeight([block], CORRECTION)
      ? (await this.#weights.block(number, size, [CORRECTION]))[0].data.slice()
      : undefined;
    if (dimension.groups === undefined) return { count, correction };
    const units = this.#weights.ranking[number]![dimension.name].slice(0, count);
    return { count, correction, groups: units.map((unit) => groupOf(unit, dimension)) };
  }

  /** Good until the weights are used again. */
  async #feeds(
    number: number,
    size: BlockSize,
    wanted: readonly DeclaredWeight[],
  ): Promise<Feeds> {
    const names = wanted.map(({ name }) => name);
    return weightFeeds(await this.#weights.block(number, size, names));
  }
}

function emptySums(experts: number): ExpertSums {
  const [tokens, squares, weighted] = [0, 1, 2].map(() => new Float64Array(experts));
  return { tokens, squares, weighted };
}

/** What the weights of each row sum up to. */
function sharesOf(routed: readonly RoutedRows[], { renormalised, softmaxOver, factor }: Routing) {
  const sums: number[] = [];
  for (const { rows, weights } of routed) {
    rows.forEach((row, i) => sums[row] = (sums[row] ?? 0) + weights[i]);
  }
  const isOne = (renormalised || softmaxOver === "chosen") && factor === undefined;
  return isOne ? sums.fill(1) : sums;
}

function gathered(x: Float32Array, rows: readonly number[], width: number): Float32Array {
  const out = new Float32Array(rows.length * width);
  rows.forEach((row, i) => out.set(x.subarray(row * width, (row + 1) * width), i * width));
  return out;
}

/** Adds rows, each times its weight, to those that they belong to. */
function scatter(
  to: Float32Array,
  from: Float32Array,
  { rows, weights }: RoutedRows,
  width: number,
) {
  rows.forEach((row, i) => {
    for (let j = 0; j < width; j++) to[row * width + j] += weights[i] * from[i * width + j];
  });
}

/** Rows, each times its weight. */
function weighted(rows: Float32Array, weights: readonly number[]): Float32Array {
  const width = rows.length / weights.length;
  return rows.map((value, i) => weights[Math.floor(i / width)] * value);
}

function count(
  { tokens, squares, weighted }: ExpertSums,
  place: number,
  out: Float32Array,
  shares: readonly number[],
) {
  const width = out.length / shares.length;
  tokens[place] += shares.length;
  shares.forEach((share, i) => {
    let square = 0;
    for (let j = i * width; j < (i + 1) * width; j++) square += out[j] * out[j];
    squares[place] += square;
    weighted[place] += share * Math.sqrt(square);
  });
}
