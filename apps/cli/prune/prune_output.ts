import type { Backend } from "@lopper/backends";
import {
  type Architecture,
  countParameters,
  denseShape,
  formatBytes,
  formatChange,
  formatCount,
  formatMilliseconds,
  formatPerplexity,
  formatRatio,
  formatSeconds,
  hasExperts,
  plural,
} from "@lopper/core";
import { criterionOf, PUBLISHED_RANKING, type Sequences, tokenCount } from "@lopper/importance";
import type { Model } from "@lopper/models";
import {
  comparedFigures,
  type EarlyStop,
  type LatencyRecord,
  type Recovery,
  type Rehearsal,
  type RunFlags,
  type RunRecord,
  type RunTexts,
  type StageRanking,
} from "@lopper/run";
import {
  largestReachableRatio,
  MAX_SWAPS,
  searchModelOf,
  type SearchPolicy,
  stageLabel,
  type SwapPhase,
  unitsLabel,
} from "@lopper/search";
import { describeQuantised, table } from "../shared/terminal/format.ts";

/** Where the tokenizer has tokens for it. */
const BOS_SAID: Readonly<Record<RunFlags["bos"], string>> = {
  each: "each sequence begins with what the tokenizer puts before a text (BOS)",
  first:
    "only the first sequence begins with what the tokenizer puts before a text (BOS), as published; --bos each gives it to all",
};

/** The sentence with which a run begins. */
export function describeStart(
  title: string,
  model: Model,
  backend: Backend,
  flags: RunFlags,
  texts: RunTexts,
): string {
  const { name, engine, threads } = backend.description;
  const { block, width, drawn } = texts;
  const tokens = (set: Sequences) => `${formatCount(tokenCount(set))} tokens`;
  const { quantised: types } = model.stored;
  const quantised = types ? `${describeQuantised(types)}\n` : "";
  const target = flags.targetLatency === null
    ? `to lose ${formatRatio(flags.ratio)}`
    : `to take ${formatMilliseconds(flags.targetLatency)} a token, ${
      formatRatio(flags.ratio)
    } less than is predicted of it`;
  const { note } = criterionOf(flags.criterion);
  return `${title}: ${
    formatCount(countParameters(model.architecture).total)
  } parameters, ${target} ` +
    `(${flags.preset}, ${flags.distribution}${
      flags.uniform ? ", layers alike" : ""
    }), on ${name} (${engine}, ${plural(threads, "thread")})\n` +
    quantised +
    `calibration: ${drawn.block} samples, ${tokens(block)} for blocks; ` +
    `${drawn.width} samples, ${tokens(width)} for channels and heads` +
    (texts.textStart.length > 0 ? `\n${BOS_SAID[flags.bos]}` : "") +
    (note === null ? "" : `\n${note}`);
}

/**
 * The table with which a run closes. `report` is the path of its page, or null where there is none.
 */
export function describeResult(record: RunRecord, out: string, report: string | null): string {
  const { latency, blockTokens, sample } = record;
  const lines = [
    table([
      ["", "dense", "pruned", "change"],
      ...comparedFigures(record).map(({ what, dense, pruned, format }) => [
        what,
        format(dense),
        format(pruned),
        formatChange(dense, pruned),
      ]),
    ]),
    "",
  ];
  if (record.steps > 0) {
    lines.push(
      `  ${record.steps} steps, ${formatCount(Math.round(blockTokens.spent))} block-tokens (${
        (100 * blockTokens.spent / blockTokens.full).toFixed(0)
      } % of full forward passes for every candidate)`,
    );
  } else {
    lines.push("  plan applied without a search");
  }
  const overhead = Object.entries(blockTokens.overhead).filter(([, spent]) => spent > 0)
    .map(([what, spent]) => `${formatCount(Math.round(spent))} for ${what}`);
  if (overhead.length > 0) lines.push(`  block-tokens on top of that: ${overhead.join(", ")}`);
  if (latency) lines.push(`  ${describeLatency(latency)}`);
  if (record.stopped) lines.push(`  ${describeStop(record.stopped)}`);
  lines.push(...record.swaps.map((phase) => `  ${describeSwaps(phase, record.flags)}`));
  lines.push(...record.rankings.map((ranking) => `  ${describeRanking(ranking)}`));
  if (record.recovery) lines.push(`  ${describeRecovery(record.recovery)}`);
  if (record.quantised) lines.push(`  ${describeQuantised(record.quantised)}`);
  const { name, engine, threads } = record.backend;
  lines.push(
    `  ${formatSeconds(record.wallSeconds)} on ${name} (${engine}, ${plural(threads, "thread")})`,
    `  written to ${out}`,
    "  the pruned model was measured on these files, by Lopper's own reader",
    ...(report === null ? [] : [`  a page about it: ${report}`]),
  );
  lines.push(
    "",
    `  "${sample.prompt} …"`,
    `  dense:  … ${sample.dense}`,
    `  pruned: … ${sample.pruned}`,
  );
  return lines.join("\n");
}

/** What a token takes beside what it was to take, and what it was timed after. */
function describeLatency({ target, pastTokens, measured: { pruned } }: LatencyRecord): string {
  const asked = `${formatMilliseconds(target)} were asked for`;
  return `a token after ${pastTokens} others takes ${formatMilliseconds(pruned)}: ${
    pruned <= target ? asked : `${asked}, ${formatChange(target, pruned)} is missed`
  }`;
}

/** What a stage narrowed blocks by, and what that gained in a trial. */
function describeRanking({ dimension, ranking, tried }: StageRanking): string {
  const what = unitsLabel(dimension);
  if (ranking === PUBLISHED_RANKING.name) return `${what} by ${PUBLISHED_RANKING.goesBy}`;
  const [own, published] = [tried[ranking] ?? null, tried[PUBLISHED_RANKING.name] ?? null];
  if (own === null || published === null) return `${what} by ${ranking}`;
  return `${what} by ${ranking}: a trial cut has perplexity ${
    formatPerplexity(own)
  } on validation text, ${formatPerplexity(published)} by the published ranking`;
}

function describeSwaps(
  { steps, tried, kept, perplexity, blockTokens }: SwapPhase,
  flags: RunFlags,
): string {
  const { before, after } = perplexity;
  const cost = `${formatCount(Math.round(blockTokens))} block-tokens`;
  if (kept.length === 0 || before === null || after === null) {
    return `nothing swapped after step ${steps}: none of ${tried} swaps helped (${cost})`;
  }
  return `${kept.length} of ${tried} swaps kept after step ${steps}: perplexity on the calibration text ${
    criterionOf(flags.criterion).note === null ? "" : `by ${flags.criterion} `
  }${formatPerplexity(before)} to ${formatPerplexity(after)} (${
    formatChange(before, after)
  }, ${cost})`;
}

function describeRecovery({ tried, helped, kept, perplexity }: Recovery): string {
  const { before, after } = perplexity;
  if (helped === 0 || before === null || after === null) {
    return `nothing refitted: none of ${tried} projections helped on validation text`;
  }
  const change = `perplexity on validation text ${formatPerplexity(before)} to ${
    formatPerplexity(after)
  }`;
  return kept > 0
    ? `${kept} of ${tried} projections refitted: ${change} (${formatChange(before, after)})`
    : `nothing refitted: ${helped} of ${tried} projections helped alone, and not together (${change})`;
}

function describeStop({ limit, on, increase, ratio }: EarlyStop): string {
  const rise = increase === null ? "beyond any number" : `by ${increase.toFixed(1)} %`;
  return `ended early: the next step, to ${
    ratio.toFixed(2)
  } %, would raise perplexity on the ${on} text ${rise}, and ${limit} % is allowed`;
}

/** How far each stage goes; one without a share is left out. */
function stagesOf(
  stages: SearchPolicy["stages"],
  of: string,
  withExperts: boolean,
): readonly string[] {
  // Bounds count what went before.
  const before = (i: number) => stages[i - 1]?.bound ?? 0;
  const there = stages.filter(({ bound, takesOver }, i) => !takesOver && bound > before(i));
  return there.map(({ name, bound }) =>
    `  ${stageLabel(name, withExperts)} up to ${bound.toFixed(2)} % of ${of}`
  );
}

/** What goes at a time. */
function groupsOf({ mlpGroup, attentionGroup, expertGroup }: Rehearsal["flags"]): string {
  const mlp = expertGroup === null
    ? `MLP groups of ${mlpGroup} channels`
    : `groups of ${plural(expertGroup, "expert")}, ${mlpGroup} channels of each expert`;
  return `${mlp}, head groups of ${attentionGroup} query channels`;
}

export function describeDryRun(
  architecture: Architecture,
  { flags, dry, decision, policy }: Rehearsal,
  exportedTo: string | null,
): string {
  const lines = ["dry run: nothing is written"];
  const of = flags.targetLatency === null ? "the parameters" : "the time of a token";
  lines.push(...stagesOf(policy?.stages ?? [], of, hasExperts(architecture)));
  if (policy) {
    const reachable = largestReachableRatio(searchModelOf(architecture), policy);
    lines.push(`  ${formatRatio(reachable)} of ${of} is the most that can go with these settings`);
  }
  if (policy && flags.targetLatency !== null) {
    lines.push(
      `  a token is predicted to take ${
        formatMilliseconds(policy.resource.amount(denseShape(architecture.blocks)))
      }, and is to take ${formatMilliseconds(flags.targetLatency)}`,
    );
  }
  if (dry) {
    lines.push(
      `  ${groupsOf(flags)}`,
      `  about ${dry.steps} steps, ${formatCount(dry.candidates)} candidates, ${
        formatCount(dry.blockTokens)
      } block-tokens, ${formatSeconds(dry.seconds)} on this machine`,
      ...(dry.refitSeconds === null
        ? []
        : [`  then refits, about ${formatSeconds(dry.refitSeconds)}`]),
      `  about ${formatSeconds(dry.totalSeconds)} in all, with rankings and measures, and up to ${
        formatBytes(dry.memoryBytes)
      } of memory`,
      ...dry.shorter.map(({ options, totalSeconds }) =>
        `  with ${options} about ${formatSeconds(totalSeconds)}`
      ),
      `  dense perplexity on ${
        dry.timed.sequences < dry.timed.of
          ? `${dry.timed.sequences} of ${dry.timed.of} sequences of `
          : ""
      }the calibration text: ${formatPerplexity(dry.densePerplexity)}`,
    );
  }
  if (dry && flags.swap !== "none") {
    lines.push(`  then up to ${MAX_SWAPS} swaps, which come on top`);
  }
  if (decision) {
    const before = countParameters(architecture).total;
    const after = countParameters(architecture, decision.shape).total;
    lines.push(
      `  the plan leaves ${formatCount(after)} of ${formatCount(before)} parameters (ratio ${
        decision.ratio.toFixed(2)
      } %)`,
    );
  }
  if (exportedTo !== null) lines.push(`  then exported to ${exportedTo}`);
  return lines.join("\n");
}
