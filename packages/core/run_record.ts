import type { LatencyTable } from "./latency_table.ts";
import type { BlockKind, BlockRef, LayerSpec } from "./model_spec.ts";

/** What a run depended on: with the same values the search decides the same. */
export interface RunSettings {
  readonly kind: "lopper-run-settings";
  readonly schema: 2;
  readonly version: string;
  readonly modelDigest: string;
  readonly calibrationDigest: { readonly block: string; readonly width: string };
  /** Of the text that every step is measured on, where there is one. */
  readonly heldOutDigest?: string;
  /** Of the calibration text that is kept aside from the search, where there is some. */
  readonly asideDigest?: string;
  /** Of the text that repairs are fitted on, where there are repairs. */
  readonly fitDigest?: string;
  /** Engine that scored, e.g. "cpu". */
  readonly backend: string;
  /** What predicts how long a token takes, where that is what is to be saved: measured once, since it is never the same again. */
  readonly latencies?: LatencyTable;
  /** What is applied instead of a search. */
  readonly plan?: AppliedPlan;
  /** Command-line settings, with defaults filled in. */
  readonly flags: RunFlags;
}

export interface AppliedPlan {
  /** Full path of the plan's file, or of the run's folder. */
  readonly source: string;
  /** In per cent, where a part of that run was asked for. */
  readonly ratio: number | null;
  /** Of what is to stay. */
  readonly digest: string;
}

export interface RunFlags {
  /** Full path, or null for the embedded model. */
  readonly model: string | null;
  /** What is to go, in per cent: of the parameters, or with `targetLatency` of the time that a token is predicted to take. */
  readonly ratio: number;
  /** Milliseconds that a token may take in the end, or null where parameters are to go. */
  readonly targetLatency: number | null;
  readonly preset: string;
  readonly distribution: string;
  readonly mlpGroup: number;
  readonly attentionGroup: number;
  /** How units inside blocks are put in order: "l1", as published, a metric of activations, "compensated", or "auto". */
  readonly order: string;
  /** What is repaired when the search is over: "none", or "auto", all that helps on text kept aside. */
  readonly recover: string;
  /** What is exchanged when a target is reached: "none", or "auto", single blocks and groups as long as it helps. */
  readonly swap: string;
  /**
   * What candidates and repairs are judged by: "perplexity" of the text, as published, or "kl", the divergence of their
   * predictions from the dense model's.
   */
  readonly criterion: string;
  readonly search: string;
  /** Techniques of the fast search that are switched off, comma-separated. */
  readonly fastWithout: string;
  /** Ratios in per cent that the run had reached before it was extended, ascending. */
  readonly earlierRatios: readonly number[];
  /** Path of the calibration text, several as `PATH=WEIGHT`, or null for the embedded one. */
  readonly calibration: string | readonly string[] | null;
  /** The same for channels and heads; null where it is that for blocks. */
  readonly calibrationWidth: string | readonly string[] | null;
  readonly samples: number;
  readonly widthSamples: number;
  readonly seqLen: number;
  readonly seed: number;
  /** Tokens that run through a block together at most; fewer than usual where memory was short. */
  readonly batchTokens: number;
  readonly bestEffort: boolean;
  /** All layers stay alike. */
  readonly uniform: boolean;
  /** Full path of text to measure every step on, or null for none. */
  readonly heldOut: string | null;
  /** Rise of the perplexity over the dense model's, in per cent, at which the search ends; null for none. */
  readonly maxPplIncrease: number | null;
  /** What the result is exported as when the run ends, or null. It decides nothing. */
  readonly export: ExportFlags | null;
}

/** An export, in the words of the command line. */
export interface ExportFlags {
  readonly format: string;
  readonly dtype: string | null;
  readonly quantize: string | null;
}

/** Before and after. */
export interface DenseAndPruned {
  readonly dense: number;
  readonly pruned: number;
}

/** One step of a finished run, with what is left after it. */
export interface FrontierStep {
  readonly stage: string;
  /** What went: a whole block or layer, or a part of one block or of those of all layers. */
  readonly kind:
    | BlockKind
    | "mlp_channels"
    | "attention_heads"
    | "layer"
    | "all_mlp_channels"
    | "all_attention_heads";
  /** Where that was; the first of the layers where it was in all of them. */
  readonly layer: number;
  /** Intermediate or query channels that are left of the block. */
  readonly width: number;
  /** Channels of the MLP, or KV groups of the attention, that went: ascending, as the checkpoint counts them. */
  readonly removed: readonly number[];
  /** What went in each layer, where that was in all of them and `removed` is empty. */
  readonly removedByLayer?: readonly (readonly number[])[];
  /** Published pruning ratio, in per cent. */
  readonly ratio: number;
  /** Milliseconds that a token is predicted to take then, where that is what was to be saved. */
  readonly latency?: number;
  /** Stored parameters that are left. */
  readonly parameters: number;
  /** On the samples that the step was scored on. */
  readonly perplexity: number;
  /** On the text of --held-out; null where there is none, or where it is not finite. */
  readonly heldOut: number | null;
}

/** What was swapped when a search had reached a target. */
export interface SwapPhase {
  /** Steps before it. */
  readonly steps: number;
  readonly tried: number;
  /** In their order; the next steps go on from what they left. */
  readonly kept: readonly Swap[];
  /** On the block samples; null where it is not finite. */
  readonly perplexity: { readonly before: number | null; readonly after: number | null };
  readonly blockTokens: number;
}

/** Something that came back, and something that went for it. */
export interface Swap {
  readonly restored: SwappedBlock;
  /** Null where the target was reached without. */
  readonly removed: SwappedBlock | null;
  /** Published pruning ratio after it, in per cent. */
  readonly ratio: number;
  /** Stored parameters that are left. */
  readonly parameters: number;
  /** On the block samples. */
  readonly perplexity: number;
  /** On the text of --held-out; null where there is none, or where it is not finite. */
  readonly heldOut: number | null;
}

export interface SwappedBlock extends BlockRef {
  /** Intermediate or query channels that the block has then; 0 where it went. */
  readonly width: number;
  /**
   * Channels of the MLP, or KV groups of the attention, that came back or went: ascending, as the checkpoint counts them; none
   * where the block went.
   */
  readonly units: readonly number[];
}

/** How long a token takes, in milliseconds: one at a time, after a short text. */
export interface LatencyRecord {
  /** What was asked for. */
  readonly target: number;
  /** Tokens of that text. */
  readonly pastTokens: number;
  /** From the table that the run began with. */
  readonly predicted: DenseAndPruned;
  /** Of whole models when the run ended, each alone and one right after the other. */
  readonly measured: DenseAndPruned;
}

/** Where and why a search ended before its target. */
export interface EarlyStop {
  /** Rise of the perplexity that was allowed, in per cent of the dense model's. */
  readonly limit: number;
  /** Text on which the rise was taken. */
  readonly on: "held-out" | "calibration";
  /** Rise that the next step would have meant, in per cent; null where it is not finite. */
  readonly increase: number | null;
  /** Pruning ratio that the next step would have meant, in per cent. */
  readonly ratio: number;
}

/** The order that a stage narrowed blocks in, and perplexities of a trial cut on text kept aside. */
export interface StageOrder {
  readonly units: "channels" | "kvGroups";
  readonly order: string;
  readonly tried: Readonly<Record<string, number | null>>;
}

/** What a repair tried and kept: output projections that were fitted to the dense model's streams anew. */
export interface Recovery {
  readonly tried: number;
  /** Projections that helped one by one. */
  readonly helped: number;
  /** Projections that are in the result: those that helped, or none where all together did not help. */
  readonly kept: number;
  /** Perplexity on calibration text that chose nothing; null where nothing was tried or it is not finite. */
  readonly perplexity: { readonly before: number | null; readonly after: number | null };
}

/** How the two models continue the same words. */
export interface TextSample {
  readonly prompt: string;
  readonly dense: string;
  readonly pruned: string;
}

/** The same of words of the held-out text, each time with the most likely token. */
export interface HeldOutSample extends TextSample {
  /** How the text itself goes on. */
  readonly original: string;
}

/** How the loss of a text changed. Losses are mean NLLs in nats per token. */
export interface TextDamage {
  readonly passages: readonly (DenseAndPruned & {
    /** The stretch whose loss grew most, of those passages that suffered most. */
    readonly worst?: string;
  })[];
  /** By kind of the token that was to be predicted, the most frequent kind first. */
  readonly tokens: readonly (DenseAndPruned & { readonly kind: string; readonly count: number })[];
}

/** What a run does beside the steps of its search: orders of units, swaps, repairs, as its journal has them. */
export type SideWork = "orders" | "swaps" | "repairs";

/** run.json: everything that a finished run depended on, decided and measured. */
export interface RunRecord {
  readonly kind: "lopper-run";
  readonly schema: 2;
  readonly version: string;
  readonly modelDigest: string;
  /** Digest of the pruned checkpoint. */
  readonly prunedDigest: string;
  readonly calibrationDigest: RunSettings["calibrationDigest"];
  /** The digest of the text in `perplexity.heldOut`. */
  readonly heldOutDigest: string;
  readonly flags: RunFlags;
  /** The plan file that was applied instead of a search, or null. */
  readonly plan: string | null;
  /** Of the text of lopper_plan.json. */
  readonly planDigest: string;
  /** Checksum of the last line that the journal had when the run ended; null where it had none. */
  readonly journal: string | null;
  readonly backend: {
    readonly name: string;
    readonly engine: string;
    readonly threads: number;
  };
  /** Published pruning ratio in per cent. */
  readonly ratio: number;
  /** Stored parameters; the norm of a removed block is not stored. */
  readonly parameters: DenseAndPruned;
  /** Bytes of the weight tensors. */
  readonly bytes: DenseAndPruned;
  /** Null where it was not what was to be saved. */
  readonly latency: LatencyRecord | null;
  /** Bytes by type of what was quantised in the source and became F16; null when nothing was. */
  readonly quantised: Readonly<Record<string, number>> | null;
  readonly perplexity: {
    /** On the block samples. */
    readonly calibration: DenseAndPruned;
    /** On text that the search never saw. */
    readonly heldOut: DenseAndPruned;
  };
  readonly blockTokens: {
    /** Of the steps. */
    readonly spent: number;
    /** What full forward passes for the same candidates would have cost. */
    readonly full: number;
    /** Of what came on top; null in old records. */
    readonly beside: Readonly<Record<SideWork | "predictions", number>> | null;
  };
  readonly wallSeconds: number;
  /** Files of the result, the plan included, by their paths from the folder; absent in records up to 0.2.0. */
  readonly files?: readonly string[];
  readonly steps: number;
  /** The steps in their order; the first of them make the smaller ratios of the run. */
  readonly frontier: readonly FrontierStep[];
  /** What was swapped between these steps and after them, for each target; none where nothing was to be. */
  readonly swaps: readonly SwapPhase[];
  readonly stopped: EarlyStop | null;
  /** The order that each stage narrowed blocks in; none where all of them had the published one. */
  readonly orders: readonly StageOrder[];
  readonly recovery: Recovery | null;
  /** Shapes of the layers before and after. */
  readonly layers: { readonly dense: readonly LayerSpec[]; readonly pruned: readonly LayerSpec[] };
  readonly sample: TextSample;
  readonly heldOutSamples: readonly HeldOutSample[];
  /** What became of the block samples, and of the text that the search never saw; null in old records. */
  readonly damage: { readonly calibration: TextDamage; readonly heldOut: TextDamage } | null;
}
