/**
 * Races over scores that an exhaustive search has left in its journal: seconds instead of minutes
 * for a seed, so that two ways of racing can be told apart over many seeds before one is measured.
 * A race decides as in a search, from scores that are looked up; after each step the search goes on
 * with what exhaustive took, so that the scores of all steps are known. What is lost is the regret:
 * how far the NLL of the candidate that the race takes is above that of the best one.
 */
import { type Architecture, blocksLeft, headCostInBlocks, type Shape } from "@lopper/core";
import { batchNumbers, type Scorable, type Scorer } from "@lopper/importance";
import { openModel } from "@lopper/models";
import { FileFolder } from "@lopper/files";
import {
  type CandidateKey,
  denseState,
  type History,
  multiPruner,
  type Proposal,
  Race,
  raceBatches,
  type SampleKind,
  searchModelOf,
  stateAfter,
  StepScores,
} from "@lopper/search";
import { readJournal } from "../apps/cli/shared/folder/read_journal.ts";
import { named, type SearchCase } from "./bench_search.ts";
import { median, printTable, save } from "./harness.ts";

/** A step as exhaustive took it. */
interface KnownStep {
  readonly samples: SampleKind;
  readonly first: boolean;
  readonly base: Shape;
  readonly candidates: readonly Proposal[];
  /** Mean NLL of each candidate by sequence, in nats per token. */
  readonly nll: readonly (readonly number[])[];
  /**
   * By candidate; null where a fast search did not measure them, which it does when a stage begins.
   */
  readonly perturbations: readonly number[] | null;
  readonly taken: number;
}

/** @param work the folder of `bench fast` for the same case. */
export async function benchReplay(
  options: SearchCase,
  seeds: number,
  work: string,
): Promise<void> {
  const { architecture } = await openModel(new FileFolder(options.model));
  const read = async (run: string) => (await readJournal(`${work}/${run}`))!.history;
  const steps = stepsOf(architecture, options, await read("exhaustive"), await read("fast-1"));
  const all = steps.reduce((sum, { candidates, nll }) => {
    const scorer = new Lookup(architecture, options.seqLen, nll[0].length, 1);
    return candidates.reduce((sum, c) => sum + scorer.cost(c, nll[0].length), sum);
  }, 0);
  const results = [];
  for (let seed = 1; seed <= seeds; seed++) {
    results.push({ seed, ...await replay(architecture, options, steps, seed) });
  }
  await save(`replay-${options.name}`, {
    what: "races over known scores",
    case: named(options),
    exhaustive: { blockTokens: all, steps: steps.length },
    results,
  });
  const row = (seed: unknown, blockTokens: number, regret: number, best: number) => [
    seed,
    `${(blockTokens / 1e6).toFixed(2)} M`,
    `${(all / blockTokens).toFixed(1)}×`,
    `${(Math.expm1(regret) * 100).toFixed(2)} %`,
    `${best.toFixed(0)} of ${steps.length}`,
  ];
  const best = (regrets: readonly number[]) => regrets.filter((regret) => regret === 0).length;
  const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
  printTable(
    ["seed", "block-tokens", "fewer", "regret", "the best was taken"],
    [
      ...results.map((r) => row(r.seed, r.blockTokens, sum(r.regrets), best(r.regrets))),
      row(
        "median",
        median(results.map((r) => r.blockTokens)),
        median(results.map((r) => sum(r.regrets))),
        median(results.map((r) => best(r.regrets))),
      ),
    ],
  );
}

/** Walks the way that exhaustive went. */
function stepsOf(
  architecture: Architecture,
  options: SearchCase,
  { steps, evidence }: History,
  fast: History,
): KnownStep[] {
  const [a, b, c] = options.distribution.split(":").map(Number);
  const { ratio, mlpGroup, attentionGroup } = options;
  const model = searchModelOf(architecture);
  const groups = { channels: mlpGroup, kvGroups: attentionGroup };
  const policy = multiPruner(model, { ratio, groups, distribution: [a, b, c] });
  const scores = new Map<string, readonly number[]>();
  for (const line of evidence) {
    if (line.type !== "score" || line.of === "base") continue;
    scores.set(keyOf(line.step, line.of), line.nll);
  }
  const known: KnownStep[] = [];
  let state = denseState(model.blocks);
  for (const stage of policy.stages) {
    const number = known.length;
    while (steps[known.length]?.stage === stage.name) {
      const step = known.length;
      const candidates = stage.candidates(state, stage.bound);
      const nll = candidates.map(({ key }) => {
        const found = scores.get(keyOf(step, key));
        if (!found) throw new Error(`step ${step}: ${key} is not there`);
        return found;
      });
      const proxies = fast.evidence.find((e) => e.type === "perturbations" && e.step === step);
      const perturbations = proxies?.type === "perturbations" ? proxies.values : null;
      const taken = candidates.findIndex(({ key }) => key === steps[step].taken.key);
      const { samples } = stage;
      const first = step === number;
      const base = state.shape;
      known.push({ samples, first, base, candidates, nll, perturbations, taken });
      state = stateAfter(state, candidates[taken]);
    }
  }
  return known;
}

function keyOf(step: number, key: CandidateKey): string {
  return `${step} ${key}`;
}

/** What races of one seed cost, and by how much each step is above the best, in nats per token. */
async function replay(
  architecture: Architecture,
  { seqLen }: SearchCase,
  steps: readonly KnownStep[],
  seed: number,
): Promise<{ readonly blockTokens: number; readonly regrets: readonly number[] }> {
  const race = new Race({ racing: true, lazy: true, proxies: true, threshold: true });
  const regrets: number[] = [];
  let blockTokens = 0;
  let before: KnownStep | null = null;
  for (const [step, known] of steps.entries()) {
    const { samples, first, base, candidates, nll } = known;
    const scorer = new Lookup(architecture, seqLen, nll[0].length, seed);
    scorer.learn(candidates, nll, known.perturbations);
    const { taken, samples: same } = before ?? known;
    const baseNll = before && same === samples ? before.nll[taken] : null;
    // A base plan that no step of the stage took: whatever is the same for all candidates decides
    // nothing.
    scorer.base = baseNll ?? nll[0].map((_, s) => Math.min(...nll.map((values) => values[s])));
    const scores = new StepScores({
      step,
      base,
      candidates,
      scorer,
      baseNll,
      recorded: [],
      measure: () => ({ blockTokens: scorer.blockTokens, seconds: 0 }),
    });
    const picking = race.pick(scores, first);
    let event = await picking.next();
    while (!event.done) event = await picking.next();
    const means = nll.map((values) => values.reduce((a, b) => a + b, 0) / values.length);
    regrets.push(means[event.value] - Math.min(...means));
    blockTokens += scorer.blockTokens;
    before = known;
  }
  return { blockTokens, regrets };
}

/** Scores that are known already, in the batches of `lopper prune --search fast`. */
class Lookup implements Scorer {
  readonly tokens: number;
  readonly batches: readonly (readonly number[])[];
  readonly keptBatches: number;
  /** Of candidates alone: block inputs that are kept make the base plan's share small. */
  blockTokens = 0;
  base: readonly number[] = [];
  readonly #architecture: Architecture;
  readonly #known = new Map<Scorable, { nll: readonly number[]; perturbation?: number }>();

  constructor(
    architecture: Architecture,
    readonly length: number,
    sequences: number,
    seed: number,
  ) {
    this.#architecture = architecture;
    this.tokens = sequences * length;
    const set = { sequences: Array.from({ length: sequences }, () => []), length };
    this.batches = batchNumbers(set, raceBatches(set, Infinity, seed));
    this.keptBatches = this.batches.length;
  }

  learn(
    candidates: readonly Proposal[],
    nll: readonly (readonly number[])[],
    perturbations: readonly number[] | null,
  ) {
    candidates.forEach((candidate, i) =>
      this.#known.set(candidate, { nll: nll[i], perturbation: perturbations?.[i] })
    );
  }

  /** Block-tokens of a candidate from the block on in which it differs. */
  cost(candidate: Scorable, sequences: number): number {
    const blocks = blocksLeft(candidate.shape.slice(candidate.first));
    return sequences * this.length * (blocks + headCostInBlocks(this.#architecture, this.length));
  }

  fullCost(): number {
    return 0;
  }

  evaluate(): Promise<never> {
    throw new Error("whole models are not looked up");
  }

  score(
    _base: Shape,
    candidate: Scorable | null,
    batch: number,
  ): Promise<number[]> {
    const sequences = this.batches[batch];
    if (candidate) this.blockTokens += this.cost(candidate, sequences.length);
    const nll = candidate ? this.#known.get(candidate)!.nll : this.base;
    return Promise.resolve(sequences.map((s) => nll[s]));
  }

  perturbation(_base: Shape, candidate: Scorable): Promise<number> {
    const known = this.#known.get(candidate)!.perturbation;
    if (known === undefined) throw new Error("fast-1 did not measure this step's proxies");
    return Promise.resolve(known);
  }

  favour() {}

  release() {}
}
