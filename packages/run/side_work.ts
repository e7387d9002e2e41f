import {
  type Architecture,
  type Block,
  hasOutputProjection,
  outputProjection,
  parametersOfBlock,
  sizeOf,
} from "@lopper/core";
import { rankByMomentsBytes, rankingsOf } from "@lopper/importance";
import { refitEquationBytes, refitKeptBytes, refitTokens, type RefitWay } from "@lopper/recovery";
import type { WeightMemory } from "@lopper/runtime";
import { fitsCells } from "./search_tools.ts";
import type { RunFlags } from "./schemas/flags.ts";

/** Work beside the scoring of candidates that takes memory of its own. */
export interface SideWork {
  /** What it is called when it does not fit. */
  readonly what: string;
  /** What takes its memory. */
  readonly takes: string;
  /** Bytes that need to be in memory where a batch has so many tokens: those of equations. */
  readonly equations: (batchTokens: number) => number;
  /** Bytes that a file takes where they find no room: those of hidden states and fits. */
  readonly kept: number;
  /** Likewise, of weights that others take the place of, where blocks stay in the file. */
  readonly replaced: number;
  /** What does without it. */
  readonly otherwise: string;
  /** Whether candidates are scored meanwhile. */
  readonly whileScoring: boolean;
}

/** Tokens that rankings and refits learn from, and those of validation text. */
export interface LearntTokens {
  readonly calibration: number;
  readonly validation: number;
}

/**
 * What of a run takes memory beside its candidates.
 * @param learnt where that is known; left out, as many tokens as there are at most.
 */
export function sideWorkOf(
  architecture: Architecture,
  weights: WeightMemory,
  flags: Pick<RunFlags, "ranking" | "recover" | "search">,
  learnt: LearntTokens = mostLearnt(architecture),
): readonly SideWork[] {
  const { ranking, recover } = flags;
  const refits = (way: RefitWay, outputs: number) => ({
    equations: (batchTokens: number) => refitEquationBytes(architecture, batchTokens),
    kept: refitKeptBytes(architecture, { ...learnt, way, outputs }),
  });
  const works: SideWork[] = [];
  if (rankingsOf(ranking).some(({ needs }) => needs === "secondMoments")) {
    const { equations, kept } = rankByMomentsBytes(architecture, learnt.calibration);
    works.push({
      ...{ what: "the ranking", takes: "its equations and hidden states" },
      ...{ equations: () => equations, kept, replaced: 0 },
      ...{ otherwise: "--ranking energy", whileScoring: false },
    });
  }
  if (fitsCells(flags)) {
    works.push({
      ...{ what: "this run", takes: "the equations and hidden states of fits" },
      ...{ ...refits("auto", 0), replaced: 0 },
      ...{ otherwise: "shorter sequences with --seq-len", whileScoring: true },
    });
  }
  if (recover !== "none") {
    const outputs = outputBytes(architecture, weights);
    works.push({
      what: "recovery",
      takes: "the equations, projections and hidden states of recovery",
      ...{ ...refits(recover, outputs), replaced: outputs },
      otherwise: recover === "both" ? "--recover auto or none" : "--recover none",
      whileScoring: false,
    });
  }
  return works;
}

function mostLearnt(architecture: Architecture): LearntTokens {
  const tokens = refitTokens(architecture);
  return { calibration: tokens, validation: tokens };
}

/** All output projections as the checkpoint has them: those may be refitted. */
function outputBytes({ blocks }: Architecture, weights: WeightMemory): number {
  const parameters = (weights: Block["weights"], block: Block) =>
    parametersOfBlock({ ...block, weights }, sizeOf(block), { norms: true });
  const fitted = blocks.filter(hasOutputProjection);
  const all = fitted.reduce((sum, block) => sum + parameters(block.weights, block), 0);
  const outputs = fitted.reduce(
    (sum, block) => sum + parameters([outputProjection(block)], block),
    0,
  );
  return all === 0 ? 0 : weights.blocks * outputs / all;
}
