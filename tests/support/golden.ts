import { type Architecture } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { openModel } from "@lopper/models";
import { type Cut, cutsOf, kindOfChanges, placeOfPart, unitWidth } from "@lopper/search";
import assert from "node:assert/strict";
import { runHere } from "./in_process.ts";
import { sharedPath } from "./shared_data.ts";

interface GoldenCase {
  readonly model: string;
  readonly texts: Readonly<Record<"block" | "width", readonly string[]>>;
  readonly seqlen: number;
  readonly flags: {
    readonly target_ratio: number;
    readonly pruning_distribution: string;
    readonly mlp_channel_group_size: number;
    readonly attn_channel_group_size: number;
  };
  readonly candidate_ppl: readonly number[];
  readonly steps: readonly {
    readonly pruning_target: string;
    readonly importance: number;
    readonly ratio: number;
    readonly config: Record<string, unknown>;
  }[];
  readonly pruning_config: Record<string, unknown>;
}

interface JournalLine {
  readonly type: string;
  readonly ppl: number;
  readonly ratio: number;
  readonly taken: { readonly key: string };
  readonly candidates: readonly { readonly ppl: number }[];
}

/** The published name of what goes. */
const PUBLISHED_KIND: Readonly<Record<string, string>> = {
  attention: "attn",
  mlp: "mlp",
  channels: "MLP width",
  kvGroups: "Attn head",
};

/** Runs a golden case through the command line and holds it against the published decisions. */
export async function checkGoldenCase(
  name: string,
  backend: "cpu" | "wasm",
  tolerance: number,
  folder: string,
): Promise<void> {
  const file = sharedPath(`golden/${name}.case.json`, `golden case ${name}`);
  const model = file && sharedPath(`models/${name}`, `golden case ${name}`);
  if (!file || !model) return;
  const golden: GoldenCase = JSON.parse(await Deno.readTextFile(file));
  const { texts, flags } = golden;
  for (const kind of ["block", "width"] as const) {
    const lines = texts[kind].map((text) => JSON.stringify({ text }) + "\n").join("");
    await Deno.writeTextFile(`${folder}/${kind}.jsonl`, lines);
  }
  const { code, stderr } = await runHere([
    ...["prune", model, "--preset", "multipruner", "--search", "exhaustive"],
    ...["--ratio", String(flags.target_ratio), "--distribution", flags.pruning_distribution],
    ...["--mlp-group", String(flags.mlp_channel_group_size)],
    ...["--attention-group", String(flags.attn_channel_group_size)],
    ...["--calibration", "block.jsonl", "--calibration-width", "width.jsonl"],
    ...["--samples", String(texts.block.length), "--width-samples", String(texts.width.length)],
    ...["--seq-len", String(golden.seqlen), "--backend", backend, "--out", "out"],
  ], folder);
  assert.equal(code, 0, stderr);

  const journal: JournalLine[] = (await Deno.readTextFile(`${folder}/out/journal.jsonl`))
    .trimEnd().split("\n").map((line) => JSON.parse(line))
    .filter(({ type }) => type === "step");
  assert.equal(journal.length, golden.steps.length);
  const { architecture } = await openModel(new FileFolder(model));
  let published: Record<string, unknown> = {};
  journal.forEach(({ taken, ppl, ratio }, i) => {
    const step = golden.steps[i];
    published = step.config;
    const cuts = cutsOf(taken.key);
    assert.equal(PUBLISHED_KIND[kindOfChanges(cuts)], step.pruning_target, `kind of step ${i}`);
    assert.equal(
      takenWidth(published, cuts[0]),
      widthOf(architecture, cuts[0]),
      `width of step ${i}`,
    );
    assert.equal(ratio, step.ratio, `ratio of step ${i}`);
    assert.ok(Math.abs(ppl / step.importance - 1) <= tolerance, `perplexity of step ${i}`);
  });
  const perplexities = journal.flatMap(({ candidates }) => candidates.map(({ ppl }) => ppl));
  assert.equal(perplexities.length, golden.candidate_ppl.length);
  const worst = Math.max(
    ...perplexities.map((ppl, i) => Math.abs(ppl / golden.candidate_ppl[i] - 1)),
  );
  assert.ok(worst <= tolerance, `a candidate's perplexity is off by ${worst}`);
  console.log(
    `${name} on ${backend}: ${journal.length} steps, ${perplexities.length} candidates, worst perplexity off by ${
      worst.toExponential(1)
    }`,
  );
  assert.equal(
    await Deno.readTextFile(`${folder}/out/pruning_config.json`),
    JSON.stringify(golden.pruning_config, null, 4),
  );
}

/** Width that a published configuration gives to what a step took; 0 for a removed block. */
function takenWidth(config: Record<string, unknown>, { part }: Cut): unknown {
  const { layer, kind } = placeOfPart(part);
  const published = kind === "mlp" ? "mlp" : "attn";
  const removed = config[`pruned_${published}_idx`] as number[];
  if (removed.includes(layer)) return 0;
  return (config[`pruned_${published}_width`] as Record<string, number>)[String(layer)];
}

/** The same width, as the step has it. */
function widthOf(architecture: Architecture, { part, dimension, left }: Cut): number {
  const block = architecture.blocks.find(({ id }) => id === part)!;
  return dimension === null ? 0 : left * unitWidth(block, dimension);
}
