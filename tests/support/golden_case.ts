import type { Architecture } from "@lopper/core";
import { type Cut, cutsOf, kindOfChanges, placeOfPart, unitWidth } from "@lopper/search";
import assert from "node:assert/strict";
import { sharedPath } from "./shared_data.ts";

/** What the published implementation decided of a model, and why. */
export interface GoldenCase {
  readonly model: string;
  readonly texts: Readonly<Record<"block" | "width", readonly string[]>>;
  readonly seqlen: number;
  readonly flags: {
    readonly target_ratio: number;
    readonly pruning_distribution: string;
    readonly mlp_channel_group_size: number;
    readonly attn_channel_group_size: number;
  };
  /** Of all candidates of all steps, in the order in which they were tried. */
  readonly candidate_ppl: readonly number[];
  readonly steps: readonly {
    readonly pruning_target: string;
    readonly importance: number;
    readonly ratio: number;
    readonly config: Record<string, unknown>;
  }[];
  readonly pruning_config: Record<string, unknown>;
}

/** A step as a search has it. */
export interface DecidedStep {
  readonly ppl: number;
  readonly ratio: number;
  readonly taken: { readonly key: string };
}

/** The published name of what goes. */
const PUBLISHED_KIND: Readonly<Record<string, string>> = {
  attention: "attn",
  mlp: "mlp",
  channels: "MLP width",
  kvGroups: "Attn head",
};

/** A case and the folder of its model; null, with a line that says so, where one is missing. */
export async function openGoldenCase(
  name: string,
): Promise<{ readonly golden: GoldenCase; readonly model: string } | null> {
  const file = sharedPath(`golden/${name}.case.json`, `golden case ${name}`);
  const model = file && sharedPath(`models/${name}`, `golden case ${name}`);
  if (!file || !model) return null;
  return { golden: JSON.parse(await Deno.readTextFile(file)), model };
}

/** Steps are those that were published, one by one. */
export function checkDecided(
  steps: readonly DecidedStep[],
  golden: GoldenCase,
  architecture: Architecture,
  tolerance: number,
) {
  assert.equal(steps.length, golden.steps.length);
  steps.forEach(({ taken, ppl, ratio }, i) => {
    const step = golden.steps[i];
    const cuts = cutsOf(taken.key);
    assert.equal(PUBLISHED_KIND[kindOfChanges(cuts)], step.pruning_target, `kind of step ${i}`);
    assert.equal(
      takenWidth(step.config, cuts[0]),
      widthOf(architecture, cuts[0]),
      `width of step ${i}`,
    );
    assert.equal(ratio, step.ratio, `ratio of step ${i}`);
    assert.ok(Math.abs(ppl / step.importance - 1) <= tolerance, `perplexity of step ${i}`);
  });
}

/**
 * Perplexities of candidates are those that were published.
 * @returns by what share the worst is off.
 */
export function checkPerplexities(
  found: readonly number[],
  published: readonly number[],
  tolerance: number,
): number {
  assert.equal(found.length, published.length);
  const worst = Math.max(...found.map((ppl, i) => Math.abs(ppl / published[i] - 1)));
  assert.ok(worst <= tolerance, `a candidate's perplexity is off by ${worst}`);
  return worst;
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
