/**
 * What whole runs would take, reckoned as a dry run does: block-tokens of the search and of all
 * beside it, time from a measured rate of multiply-accumulates, bytes read where blocks stay in the
 * file. No model is run.
 *
 * Usage: deno run -A benchmarks/bench_costs.ts --gflops N --disk GB_PER_S --share PER_CENT
 *        --gflops N    of a forward pass on this machine, 2 FLOP a multiply-accumulate
 *        --disk N      GB a second that the file is read with
 *        --share N     of the time of one machine, what 5 of them take over a search
 */
import {
  type Architecture,
  countParameters,
  denseShape,
  hasExperts,
  headCostInBlocks,
} from "@lopper/core";
import { DEMO_MLP_GROUPS } from "@lopper/demo-model";
import { FileFolder } from "@lopper/files";
import { architectureFromConfig, configSchema, openModel } from "@lopper/models";
import { refitTokens } from "@lopper/recovery";
import { pickerOf, policyOf, runFlags, type TextTokens, workload } from "@lopper/run";
import { parseArgs } from "node:util";
import { DEMO, printTable, save } from "./harness.ts";

const { values: given } = parseArgs({
  args: Deno.args,
  options: {
    gflops: { type: "string" },
    disk: { type: "string" },
    share: { type: "string" },
  },
});
const [gflops, disk, share] = [given.gflops, given.disk, given.share].map(Number);
if (!(gflops > 0 && disk > 0 && share > 0)) {
  console.error("usage: bench_costs.ts --gflops N --disk GB_PER_S --share PER_CENT");
  Deno.exit(2);
}
const MACHINES = 5;
/** Tokens that run through a block together where memory is short. */
const BATCH_TOKENS = 1024;
/** The same of candidates that share a reading, as far as they go through the same blocks. */
const SHARED_TOKENS = 4096;
/** Bytes of weights that a laptop's 16 GB have room for. */
const ROOM = 8e9;
const HELD_OUT_TOKENS = 8192;

const llama = (hidden: number, layers: number, inner: number, heads: number, kvHeads: number) => ({
  model_type: "llama",
  ...{ hidden_size: hidden, num_hidden_layers: layers, intermediate_size: inner },
  ...{ num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: 128 },
  ...{ vocab_size: 128_256, max_position_embeddings: 8192, tie_word_embeddings: false },
});
const CONFIGS = {
  "SmolLM2-135M": {
    ...llama(576, 30, 1536, 9, 3),
    ...{ head_dim: 64, vocab_size: 49_152, tie_word_embeddings: true },
  },
  "Llama-3.1-8B": llama(4096, 32, 14_336, 32, 8),
  "Qwen3-30B-A3B": {
    model_type: "qwen3_moe",
    ...{ hidden_size: 2048, num_hidden_layers: 48, intermediate_size: 6144 },
    ...{ num_attention_heads: 32, num_key_value_heads: 4, head_dim: 128 },
    ...{ num_experts: 128, num_experts_per_tok: 8, moe_intermediate_size: 768 },
    ...{ decoder_sparse_step: 1, mlp_only_layers: [], norm_topk_prob: true },
    ...{ vocab_size: 151_936, max_position_embeddings: 40_960, tie_word_embeddings: false },
  },
  "Llama-3.1-70B": llama(8192, 80, 28_672, 64, 8),
};

async function architectures(): Promise<readonly (readonly [string, Architecture])[]> {
  using demo = await openModel(new FileFolder(DEMO));
  return [
    ["embedded", demo.architecture] as const,
    ...Object.entries(CONFIGS).map(([name, config]) =>
      [name, architectureFromConfig(configSchema.parse(config), name).architecture] as const
    ),
  ];
}

function costs(
  name: string,
  architecture: Architecture,
  preset: "lopper" | "quick" | "experts",
) {
  const sizes = name !== "embedded"
    ? {}
    : { seqLen: 256, ...preset === "lopper" && { samples: 16 } };
  const usual = name === "embedded" ? { mlpGroups: DEMO_MLP_GROUPS } : undefined;
  const flags = runFlags(architecture, { preset, ...sizes }, { usual });
  const { samples, widthSamples, seqLen } = flags;
  const most = refitTokens(architecture);
  const tokens: TextTokens = {
    ...{ block: samples * seqLen, width: widthSamples * seqLen, validation: samples * seqLen },
    ...{ extended: Math.min(most, 11 * samples * seqLen), heldOut: HELD_OUT_TOKENS },
  };
  const head = headCostInBlocks(architecture, seqLen);
  const scorer = (count: number) => ({
    ...{ tokens: count, length: seqLen, keptBatches: 1 },
    batches: [Array.from({ length: Math.min(4, count / seqLen) }, (_, i) => i)],
    fullCost: (shape: readonly unknown[]) => count * (shape.filter(Boolean).length + head),
  });
  const model = { architecture };
  const parts = {
    ...{ policy: policyOf(model, flags, null), picker: pickerOf(flags) },
    scorers: { block: scorer(tokens.block), width: scorer(tokens.width) },
  };
  const work = workload(model, flags, parts, tokens);
  const all = work.search + work.beside + work.refits;
  // Multiply-accumulates of a block and a token: those of the head say how many.
  const macs = architecture.vocabSize * architecture.hiddenSize / head;
  const bytes = 2 * countParameters(architecture).total;
  const perBlock = bytes / denseShape(architecture.blocks).length;
  const seconds = (blockTokens: number) => blockTokens * 2 * macs / (gflops * 1e9);
  const inFile = Math.max(0, 1 - ROOM / bytes);
  // Experts are read for each candidate.
  const together = hasExperts(architecture) ? BATCH_TOKENS : SHARED_TOKENS;
  const read = inFile * perBlock *
    (work.search / together + (work.beside + work.refits) / BATCH_TOKENS);
  return {
    ...{ preset, bytes, ...work, macs, readBytes: read },
    laptopSeconds: seconds(all) + read / (disk * 1e9),
    machinesSeconds: seconds(work.search + work.beside) * share / 100 + seconds(work.refits),
  };
}

const rows: (readonly unknown[])[] = [];
const found: Record<string, unknown> = {};
const time = (seconds: number) => {
  const [unit, size] = ([["days", 86_400], ["h", 3600], ["min", 60]] as const)
    .find(([, size]) => seconds >= 2 * size) ?? ["s", 1];
  return `${(seconds / size).toPrecision(2)} ${unit}`;
};
for (const [name, architecture] of await architectures()) {
  const presets = architecture.blocks.some(({ routing }) => routing)
    ? ["experts" as const]
    : ["lopper" as const, "quick" as const];
  for (const preset of presets) {
    const cost = costs(name, architecture, preset);
    found[`${name}, ${preset}`] = cost;
    rows.push([
      ...[name, preset, (cost.bytes / 1e9).toPrecision(2), cost.steps, cost.candidates],
      ...[`${((cost.search + cost.beside + cost.refits) / 1e6).toPrecision(3)} M`],
      ...[(cost.macs / 1e6).toPrecision(3), (cost.readBytes / 1e9).toPrecision(2)],
      ...[time(cost.laptopSeconds), time(cost.machinesSeconds)],
    ]);
  }
}
await save("costs", {
  what: "whole runs by 20 %, reckoned as a dry run does",
  assumed: {
    gflops,
    disk,
    share,
    machines: MACHINES,
    batchTokens: BATCH_TOKENS,
    sharedTokens: SHARED_TOKENS,
    room: ROOM,
  },
  costs: found,
});
printTable(
  [
    ...["model", "preset", "GB in 16 bits", "steps", "candidates", "block-tokens", "M MAC each"],
    ...["GB read", "one laptop", `${MACHINES} machines`],
  ],
  rows,
);
