import { mean } from "@lopper/core";
import {
  cutsOf,
  type History,
  keptSwaps,
  kindOfChanges,
  placeOfPart,
  samplesOf,
} from "@lopper/search";
import type { RunRecord } from "@lopper/run";

/** What removing something of one layer was found to do, the first time that it was scored. */
export interface BlockLossIncrease {
  /** What would go, as `kindOfChanges` has it. */
  readonly kind: string;
  readonly layer: number;
  /** The block of it, or the first of them. */
  readonly part: string;
  /** Step, from 1, in which it was scored. */
  readonly step: number;
  /**
   * Rise of the mean NLL over the model before that step, in nats per token, on the same passages.
   */
  readonly increase: number;
  /** Passages that it was scored on. */
  readonly passages: number;
}

/** Mean NLL in nats per token by number of the passage. */
type Losses = ReadonlyMap<number, number>;

/**
 * What the journal says of the loss increase of each candidate when it was scored first: in pairs
 * with the model before that step. The exhaustive search does not score that model itself; at its
 * first step the record has its perplexity.
 */
export function blockLossIncreases(
  { steps, evidence, swaps }: History,
  { perplexity }: RunRecord,
): readonly BlockLossIncrease[] {
  const found = new Map<string, BlockLossIncrease>();
  let before: Losses = new Map();
  let samples = "";
  for (const { step, stage, taken, candidates } of steps) {
    const scores = scoresOf(evidence, step);
    const now = samplesOf(stage);
    // A swap left another model than the step before.
    if (keptSwaps(swaps).some((swap) => swap.steps === step)) before = new Map();
    // Losses on other samples are no measure.
    const baseLosses = new Map([...(now === samples ? before : []), ...(scores.get("base") ?? [])]);
    for (const { key } of candidates) {
      const cuts = cutsOf(key);
      const [{ part }] = cuts;
      const { layer } = placeOfPart(part);
      const kind = kindOfChanges(cuts);
      const place = `${kind} ${layer}`;
      const losses = scores.get(key);
      const isOfOneLayer = cuts.every((cut) => placeOfPart(cut.part).layer === layer);
      if (found.has(place) || !losses || !isOfOneLayer) continue;
      const increase = step === 0 && baseLosses.size === 0 && now === "block"
        ? mean([...losses.values()]) - Math.log(perplexity.calibration.dense)
        : pairedIncrease(losses, baseLosses);
      if (!Number.isFinite(increase)) continue;
      found.set(place, { kind, layer, part, step: step + 1, increase, passages: losses.size });
    }
    before = scores.get(taken.key) ?? new Map();
    samples = now;
  }
  return [...found.values()].sort((a, b) => a.layer - b.layer);
}

function scoresOf(evidence: History["evidence"], step: number): Map<string, Map<number, number>> {
  const scores = new Map<string, Map<number, number>>();
  for (const line of evidence) {
    if (line.type !== "score" || line.step !== step) continue;
    const losses = scores.get(line.of) ?? new Map<number, number>();
    line.sequences.forEach((sequence, i) => losses.set(sequence, line.nll[i]));
    scores.set(line.of, losses);
  }
  return scores;
}

/** NaN where nothing was scored on both. */
function pairedIncrease(losses: Losses, baseLosses: Losses): number {
  return mean([...losses].flatMap(([passage, nll]) => {
    const base = baseLosses.get(passage);
    return base === undefined ? [] : [nll - base];
  }));
}
