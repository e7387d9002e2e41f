/**
 * What a search at published settings would take on paper: candidates by rehearsing the policy on
 * shapes, block-tokens as the suffix costs them, time from a measured rate of multiply-accumulates.
 * No model is run.
 */
import { type Architecture, headCostInBlocks } from "@lopper/core";
import { architectureFromConfig, configSchema } from "@lopper/models";
import {
  defaultMlpGroup,
  denseState,
  headGroupUnit,
  multiPruner,
  PRESETS,
  PUBLISHED_MLP_GROUPS,
  rehearse,
  searchModelOf,
} from "@lopper/search";
import { printTable, save } from "./harness.ts";

/**
 * Tokens of 256 and of 128 Alpaca samples in whole sequences of 2048, as the published settings
 * have them.
 */
const TOKENS = { block: 22 * 2048, width: 11 * 2048 };
const RATIO = 20;

export interface EstimateOptions {
  /**
   * GFLOP/s of a forward pass on the laptop, as bench forward measured it (2 FLOP a
   * multiply-accumulate).
   */
  readonly laptopGflops: number;
  /** How many times fewer block-tokens the fast search runs, as bench fast measured it. */
  readonly fastFactor: number;
}

/** Half of the peak of dense bfloat16, which is an assumption: no GPU was at hand. */
const H100_GFLOPS = 0.5 * 989_000;
/** Machines that share the candidates of a step. */
const MACHINES = 8;

const MODELS: readonly { readonly name: string; readonly architecture: Architecture }[] = [
  { name: "Llama-3.2-1B", architecture: shape(16, 2048, 32, 8, 64, 8192, 128_256, true) },
  { name: "Llama-3.1-8B", architecture: shape(32, 4096, 32, 8, 128, 14_336, 128_256, false) },
  { name: "Llama-3.1-70B", architecture: shape(80, 8192, 64, 8, 128, 28_672, 128_256, false) },
];

export async function benchEstimate(options: EstimateOptions): Promise<void> {
  const { laptopGflops, fastFactor } = options;
  const estimates = MODELS.map(({ name, architecture }) => {
    const { candidates, blockTokens, flops } = exhaustiveCost(architecture);
    const seconds = (gflops: number) => ({
      exhaustive: flops / (gflops * 1e9),
      fast: flops / fastFactor / (gflops * 1e9),
    });
    return {
      name,
      candidates,
      blockTokens,
      flops,
      laptop: seconds(laptopGflops),
      h100: seconds(H100_GFLOPS),
      machines: seconds(H100_GFLOPS * MACHINES),
    };
  });
  await save("estimate", {
    what: "a paper estimate of searches at 20 %, published settings",
    assumed: { ...options, h100Gflops: H100_GFLOPS, machines: MACHINES, tokens: TOKENS },
    estimates,
  });
  const cell = (t: { exhaustive: number; fast: number }) =>
    `${time(t.exhaustive)} / ${time(t.fast)}`;
  printTable(
    [
      "model",
      "candidates",
      "block-tokens, exhaustive",
      "laptop, exhaustive / fast",
      "one H100",
      `${MACHINES} H100`,
    ],
    estimates.map((e) => [
      e.name,
      e.candidates,
      `${(e.blockTokens / 1e9).toFixed(1)} G`,
      cell(e.laptop),
      cell(e.h100),
      cell(e.machines),
    ]),
  );
}

/**
 * A step takes its first candidate, which is no better a guess than another: what counts is how
 * many there are.
 */
function exhaustiveCost(architecture: Architecture) {
  const model = searchModelOf(architecture);
  const policy = multiPruner(model, {
    ratio: RATIO,
    distribution: PRESETS.multipruner,
    groups: {
      channels: defaultMlpGroup(architecture, PUBLISHED_MLP_GROUPS),
      kvGroups: headGroupUnit(architecture),
    },
  });
  const head = headCostInBlocks(architecture, 2048);
  let candidates = 0, blockTokens = 0;
  for (const step of rehearse(policy, denseState(model.blocks), ([first]) => first).steps) {
    candidates += step.candidates;
    // On average half of the blocks are behind the one that changes.
    blockTokens += step.candidates * TOKENS[step.samples] * (architecture.blocks.length / 2 + head);
  }
  const perBlock = architecture.vocabSize * architecture.hiddenSize / head;
  return { candidates, blockTokens, flops: 2 * perBlock * blockTokens };
}

function time(seconds: number): string {
  const units = [["days", 86_400], ["h", 3600], ["min", 60], ["s", 1]] as const;
  const [unit, size] = units.find(([, size]) => seconds >= 2 * size) ?? units[3];
  const value = seconds / size;
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ${unit}`;
}

function shape(
  layers: number,
  hiddenSize: number,
  queryHeads: number,
  kvHeads: number,
  headDim: number,
  intermediateSize: number,
  vocabSize: number,
  tiedEmbeddings: boolean,
): Architecture {
  const config = {
    model_type: "llama",
    hidden_size: hiddenSize,
    head_dim: headDim,
    vocab_size: vocabSize,
    num_hidden_layers: layers,
    num_attention_heads: queryHeads,
    num_key_value_heads: kvHeads,
    intermediate_size: intermediateSize,
    max_position_embeddings: 131_072,
    tie_word_embeddings: tiedEmbeddings,
  };
  return architectureFromConfig(configSchema.parse(config), "config.json").architecture;
}
