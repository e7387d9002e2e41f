import {
  fallsBeyondChance,
  type LayerSpec,
  mean,
  type ModelSpec,
  pruningRatio,
  ResumeError,
} from "@lopper/core";
import { layersAfter } from "./candidate.ts";
import type { History } from "./history.ts";
import { agrees, misfit, misfitBack, unknownLayer } from "./misfit.ts";
import type { RepairLine } from "./repair_line.ts";
import type { Step } from "./step.ts";
import type { SwapLine, SwapTrial } from "./swap/swap_line.ts";

/**
 * Checks what a journal says against the model that its run goes on with, before anything is believed: steps and what they
 * chose from are there to go, ratios are what is left, and what was kept is what its own numbers say. Orders are checked
 * where a search applies them.
 * @param file for messages.
 * @throws {ResumeError} naming what does not fit.
 */
export function checkHistory(spec: ModelSpec, history: History, file: string) {
  const refuse = (what: string, problem: string | null) => {
    if (problem !== null) throw new ResumeError(`${file}: ${what}: ${problem}`);
  };
  /** What the search chose from in each step, and in the one that was cut off. */
  const trunks = replay(spec, history, refuse);
  for (const evidence of history.evidence) {
    const { step } = evidence;
    const what = `a score of step ${step}`;
    refuse(what, step < trunks.length ? null : "the journal has no such step");
    if (evidence.type !== "score") continue;
    const { of, sequences } = evidence;
    if (of !== "trunk") refuse(what, misfit(spec, trunks[step], of));
    refuse(what, new Set(sequences).size < sequences.length ? "it has a sequence twice" : null);
  }
  for (const { steps, nll } of history.measures) {
    const what = `a measure after step ${steps}`;
    refuse(what, steps < trunks.length ? null : "the journal has no such step");
    refuse(what, nll.length === 0 ? "it has no sequences" : null);
  }
  const repaired = new Set<string>();
  for (const line of history.repairs) {
    const block = line.type === "repair" ? `${line.kind} of layer ${line.layer}` : "all of them";
    const what = `the repair of ${block} after step ${line.steps}`;
    if (line.type === "repair") refuse(what, repairMisfit(spec, line));
    refuse(what, repaired.has(what) ? "it is there twice" : null);
    repaired.add(what);
    refuse(what, lossMisfit(line, line.kept));
  }
}

type Refuse = (what: string, problem: string | null) => void;

/** Takes the steps and swaps of a journal. @returns the layers before each step, and after the last. */
function replay(
  spec: ModelSpec,
  { steps, swaps }: History,
  refuse: Refuse,
): readonly (readonly LayerSpec[])[] {
  const trunks: (readonly LayerSpec[])[] = [spec.layers];
  for (const [i, step] of steps.entries()) {
    const what = `step ${i}`;
    const before = trunks[i];
    refuse(what, step.step === i ? null : `it says that it is step ${step.step}`);
    for (const candidate of step.candidates) refuse(what, misfit(spec, before, candidate));
    refuse(what, misfit(spec, before, step.taken));
    refuse(what, isAmong(step) ? null : "it takes what was no candidate");
    const after = layersAfter(spec, before, step.taken);
    refuse(what, ratioMisfit(spec, after, step.ratio));
    trunks.push(swapped(spec, after, swaps.filter((line) => line.steps === i + 1), refuse));
  }
  const lost = swaps.find((line) => line.steps < 1 || line.steps > steps.length);
  if (lost) refuse(`a swap after step ${lost.steps}`, "the journal has no such step");
  return trunks;
}

/** The layers after the swaps of one target. */
function swapped(
  spec: ModelSpec,
  start: readonly LayerSpec[],
  lines: readonly SwapLine[],
  refuse: Refuse,
): readonly LayerSpec[] {
  let layers = start;
  const trials = lines.filter((line): line is SwapTrial => line.type === "swap");
  for (const [n, { restored, removed, ratio, kept, ...losses }] of trials.entries()) {
    const what = `swap ${n} after step ${losses.steps}`;
    refuse(what, misfitBack(spec, layers, restored));
    let after = layersAfter(spec, layers, restored);
    if (removed) {
      refuse(what, misfit(spec, after, removed));
      after = layersAfter(spec, after, removed);
    }
    refuse(what, ratioMisfit(spec, after, ratio));
    refuse(what, sameLength(losses));
    if (!kept) continue;
    const better = fallsBeyondChance(losses.before, losses.after);
    refuse(what, better ? null : "it was kept, and its losses do not fall");
    if (losses.aside) refuse(what, lossMisfit(losses.aside, "not risen"));
    layers = after;
  }
  for (const line of lines) {
    if (line.type !== "swaps") continue;
    const what = `the swaps after step ${line.steps}`;
    refuse(what, sameLength(line));
    const kept = trials.filter((trial) => trial.kept).length;
    const same = line.tried === trials.length && line.kept === kept;
    refuse(
      what,
      same ? null : `${kept} of ${trials.length} were kept, not ${line.kept} of ${line.tried}`,
    );
  }
  return layers;
}

function isAmong({ taken, candidates }: Step): boolean {
  return candidates.some(({ kind, layer, width }) =>
    kind === taken.kind && layer === taken.layer && width === taken.width
  );
}

function ratioMisfit(spec: ModelSpec, layers: readonly LayerSpec[], ratio: number): string | null {
  const computed = pruningRatio(spec, layers);
  return agrees(ratio, computed)
    ? null
    : `its ratio is ${ratio}, and what it leaves is ${computed}`;
}

function repairMisfit(
  spec: ModelSpec,
  { layer, kind, lambda }: Extract<RepairLine, { type: "repair" }>,
): string | null {
  const outside = unknownLayer(spec, layer);
  if (outside) return outside;
  if (spec.layers[layer][kind] === null) return "the model has no such block";
  return lambda > 0 ? null : `its ridge is ${lambda}`;
}

interface Losses {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

function sameLength({ before, after }: Losses): string | null {
  return before.length === after.length
    ? null
    : `it has ${before.length} losses before and ${after.length} after`;
}

/**
 * Whether what was kept is what the means of its losses say; those that are not finite had been before they were written,
 * and say nothing any more.
 */
function lossMisfit(losses: Losses, kept: boolean | "not risen"): string | null {
  const length = sameLength(losses);
  if (length) return length;
  const [before, after] = [mean(losses.before), mean(losses.after)];
  if (!Number.isFinite(before) || !Number.isFinite(after)) return null;
  const right = kept === "not risen" ? after <= before : kept === after < before;
  return right ? null : `its losses, ${before} before and ${after} after, say the contrary`;
}
