import { openBackend } from "@lopper/backends";
import type { Shape } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import {
  type CalibrationSet,
  calibrationSet,
  perplexity,
  PUBLISHED_RANKING,
  rankByWeights,
  type Scorer,
  SuffixScorer,
} from "@lopper/importance";
import { type Model, openModel } from "@lopper/models";
import { policyOf, type RunFlags, runFlags } from "@lopper/run";
import { Decoder, LaidOutWeights } from "@lopper/runtime";
import { exhaustive, greedySearch, searchModelOf, type Step } from "@lopper/search";
import { openTokenizer } from "@lopper/tokenizers";
import assert from "node:assert/strict";
import { checkDecided, checkPerplexities, type GoldenCase, openGoldenCase } from "./golden_case.ts";

/**
 * Has the published search decide all steps of a golden case, and the model score the candidates of
 * some of them only: of the others, the published perplexities are believed.
 * @param scored numbers of the steps whose candidates run.
 */
export async function replayGoldenCase(
  name: string,
  scored: readonly number[],
  tolerance: number,
): Promise<void> {
  const opened = await openGoldenCase(name);
  if (!opened) return;
  const { golden } = opened;
  using model = await openModel(new FileFolder(opened.model));
  const { architecture } = model;
  const flags = flagsOf(model, golden);
  const sets = await setsOf(model, golden, flags);
  const ranking = await rankByWeights(model, PUBLISHED_RANKING);
  await using backend = (await openBackend("cpu", { threads: 1 })).backend;
  await using decoder = new Decoder(backend, await LaidOutWeights.load(model, { ranking }));
  const replay = new Replay(golden, scored);
  const open = (set: CalibrationSet) =>
    replay.over(new SuffixScorer(decoder, set, { cacheBytes: 1e9, batchTokens: 1e9 }));
  const searching = greedySearch(searchModelOf(architecture), policyOf(model, flags, null), {
    scorers: { block: open(sets.block), width: open(sets.width) },
    picker: exhaustive,
    measure: () => ({ blockTokens: decoder.blockTokens, seconds: 0 }),
    units: { ranking },
  });
  const steps: Step[] = [];
  for await (const event of searching) if (event.type === "step") steps.push(event.step);
  checkDecided(steps, golden, architecture, tolerance);
  const { found, published } = replay.end();
  const worst = checkPerplexities(found, published, tolerance);
  console.log(
    `${name}, steps ${scored.join(", ")} of ${steps.length}: ${found.length} candidates of ` +
      `${golden.candidate_ppl.length}, worst perplexity off by ${worst.toExponential(1)}`,
  );
}

function flagsOf({ architecture }: Model, { flags, seqlen }: GoldenCase): RunFlags {
  return runFlags(architecture, {
    ...{ preset: "multipruner", search: "exhaustive", ratio: flags.target_ratio, seqLen: seqlen },
    distribution: flags.pruning_distribution,
    mlpGroup: flags.mlp_channel_group_size,
    attentionGroup: flags.attn_channel_group_size,
  });
}

async function setsOf({ folder }: Model, { texts }: GoldenCase, { seqLen, bos }: RunFlags) {
  using tokenizer = await openTokenizer(folder);
  const cut = (what: "block" | "width") =>
    calibrationSet({ samples: texts[what], what }, tokenizer, { length: seqLen, bos });
  return { block: await cut("block"), width: await cut("width") };
}

/** Knows by the order in which candidates come what was published of each. */
class Replay {
  readonly #golden: GoldenCase;
  readonly #scored: readonly number[];
  readonly #bases: Shape[] = [];
  readonly #found: number[] = [];
  readonly #published: number[] = [];
  #next = 0;

  constructor(golden: GoldenCase, scored: readonly number[]) {
    this.#golden = golden;
    this.#scored = scored;
  }

  /** A scorer, whose text is one batch, that is asked in the steps that count. */
  over(scorer: Scorer): Scorer {
    const [sequences, ...others] = scorer.batches;
    assert.deepEqual(others, []);
    return {
      ...{ tokens: scorer.tokens, length: scorer.length },
      ...{ batches: scorer.batches, keptBatches: scorer.keptBatches },
      fullCost: (shape) => scorer.fullCost(shape),
      evaluate: (shape) => scorer.evaluate(shape),
      favour: (shape) => scorer.favour(shape),
      release: () => scorer.release(),
      score: async (base, candidate, batch) => {
        // Every step has a base plan of its own.
        if (this.#bases.at(-1) !== base) this.#bases.push(base);
        const published = this.#golden.candidate_ppl[this.#next++];
        if (!this.#scored.includes(this.#bases.length - 1)) {
          return sequences.map(() => Math.log(published));
        }
        const means = await scorer.score(base, candidate, batch);
        this.#found.push(perplexity(means));
        this.#published.push(published);
        return means;
      },
    };
  }

  /** Perplexities of the candidates that were scored, when all candidates had their turn. */
  end() {
    assert.equal(this.#bases.length, this.#golden.steps.length);
    assert.equal(this.#next, this.#golden.candidate_ppl.length);
    return { found: this.#found, published: this.#published };
  }
}
