import type { BackendDescription } from "@lopper/backends";
import { type Architecture, countParameters, VERSION, withShape } from "@lopper/core";
import { lossIncrease } from "@lopper/evaluation";
import { digestOfPlan, layersOfBlocks, type Model } from "@lopper/models";
import { sideWork } from "@lopper/search";
import type { RunOutcome } from "./decide.ts";
import type { Decision } from "./decision.ts";
import { heldOutSamples, type MeasuredOn, type PrunedMeasures, SAMPLE_PROMPT } from "./measure.ts";
import type { PruneTask } from "./prepare.ts";
import type { RunStore } from "./store.ts";
import type { RunTexts } from "./texts.ts";
import { type LatencyRecord, RECORD_SCHEMA, type RunRecord } from "./schemas/record.ts";

/** All that a record is made of. */
export interface RecordedRun {
  readonly model: Model;
  readonly on: MeasuredOn;
  readonly task: PruneTask;
  readonly decided: RunOutcome;
  readonly pruned: PrunedMeasures;
  readonly latency: LatencyRecord | null;
  readonly store: Pick<RunStore, "history" | "journalChecksum">;
  readonly backend: BackendDescription;
  /** Of this part of the run and those before it. */
  readonly wallSeconds: number;
}

/** What a run did, for its store. */
export async function recordOf(run: RecordedRun): Promise<RunRecord> {
  const { model, on, task, decided, pruned, latency, store, backend, wallSeconds } = run;
  const { decision, dense, settings } = decided;
  const { texts, tokenizer } = on;
  const { name, engine, threads } = backend;
  const overhead = sideWork(store.history);
  const increaseOf = (
    kind: "block" | "heldOut",
    nll: "calibration" | "heldOut",
    kinds?: RunTexts["heldOutKinds"],
  ) => lossIncrease(texts[kind], dense.nll[nll], pruned.nll[nll], tokenizer, kinds);
  return {
    kind: "lopper-run",
    schema: RECORD_SCHEMA,
    version: VERSION,
    modelDigest: settings.modelDigest,
    prunedDigest: pruned.digest,
    calibrationDigest: settings.calibrationDigest,
    heldOutDigest: texts.heldOut.digest,
    flags: settings.flags,
    plan: task.applied?.source ?? null,
    planDigest: await digestOfPlan(decision.plan),
    journal: store.journalChecksum,
    backend: { name, engine, threads },
    ratio: decision.ratio,
    parameters: { dense: countParameters(model.architecture).total, pruned: pruned.parameters },
    bytes: { dense: model.weightBytes, pruned: pruned.bytes },
    latency,
    quantised: model.stored.quantised,
    perplexity: {
      calibration: { dense: dense.calibration, pruned: pruned.calibration },
      heldOut: { dense: dense.heldOut, pruned: pruned.heldOut },
    },
    blockTokens: {
      ...decision.blockTokens,
      overhead: {
        predictions: decided.predictions,
        rankings: overhead.rankings.blockTokens,
        swaps: overhead.swaps.blockTokens,
        refits: overhead.refits.blockTokens,
      },
    },
    wallSeconds,
    files: decided.files,
    steps: task.applied ? 0 : decision.frontier.length,
    frontier: decision.frontier,
    swaps: decision.swaps,
    stopped: decision.stopped,
    rankings: decision.rankings,
    recovery: decided.recovery,
    ...(decided.routing && { routing: decided.routing }),
    layers: layersOf(model.architecture, decision),
    sample: { prompt: SAMPLE_PROMPT, dense: dense.continuation, pruned: pruned.continuation },
    heldOutSamples: await heldOutSamples(on, dense, pruned),
    lossIncrease: {
      calibration: await increaseOf("block", "calibration"),
      heldOut: await increaseOf("heldOut", "heldOut", texts.heldOutKinds),
    },
  };
}

function layersOf(dense: Architecture, { shape }: Decision): RunRecord["layers"] {
  return { dense: layersOfBlocks(dense), pruned: layersOfBlocks(withShape(dense, shape)) };
}
