import { formatRatio, hasExperts } from "@lopper/core";
import type { Model } from "@lopper/models";
import {
  denseState,
  largestReachableRatio,
  searchModelOf,
  type SearchPolicy,
  stageLabel,
} from "@lopper/search";
import type { RunEvent } from "./events.ts";
import { distribution } from "./options/shares.ts";
import type { RunFlags } from "./schemas/flags.ts";

/** What is known of how far a search can get, and with what, before it begins. */
export function* reachNotes(
  model: Model,
  policy: SearchPolicy,
  flags: Pick<RunFlags, "ratio" | "distribution" | "targetLatency" | "narrowsExperts">,
): Generator<RunEvent> {
  const messages = [
    ...wholeExperts(model, flags),
    ...sharesTaken(model, policy),
    ...shortfall(model, policy, flags),
  ];
  for (const message of messages) yield { type: "note", message };
}

/** Of a run that goes on as it was begun. */
function wholeExperts(
  { architecture }: Model,
  flags: Pick<RunFlags, "distribution" | "targetLatency" | "narrowsExperts">,
): readonly string[] {
  const mayNow = hasExperts(architecture) && distribution(flags.distribution) === "auto" &&
    flags.targetLatency === null;
  return mayNow && !flags.narrowsExperts
    ? [
      "channels of experts stay: this run was begun before they could go, and goes on as it was begun " +
      "(with them: start again with --overwrite)",
    ]
    : [];
}

/** Of every kind that has a share and nothing to go, whose candidates take it. */
function sharesTaken({ architecture }: Model, policy: SearchPolicy): readonly string[] {
  const { stages } = policy;
  const dense = denseState(searchModelOf(architecture).blocks);
  const isEmpty = ({ candidates, bound }: SearchPolicy["stages"][number]) =>
    candidates(dense, bound).length === 0;
  const others = new Set(stages.filter((s) => s.takesOver && !isEmpty(s)).map(({ name }) => name));
  if (others.size === 0) return [];
  const taker = [...others].map((name) => stageLabel(name)).join(" and ");
  const found = stages.flatMap((stage, i) => {
    const share = stage.bound - (stages[i - 1]?.bound ?? 0);
    return !stage.takesOver && share > 0 && isEmpty(stage)
      ? [
        `no layer of this model can lose ${
          stageLabel(stage.name)
        }, and ${taker} go on in their place: ` +
        `the last ${formatRatio(share)} of ${whole(policy)}`,
      ]
      : [];
  });
  return [...new Set(found)];
}

function whole({ resource }: SearchPolicy): string {
  return resource.name === "latency" ? "the time of a token" : "the parameters";
}

function shortfall(
  { architecture }: Model,
  policy: SearchPolicy,
  { ratio }: Pick<RunFlags, "ratio">,
): readonly string[] {
  const reachable = largestReachableRatio(searchModelOf(architecture), policy);
  if (reachable >= ratio) return [];
  return [
    `${formatRatio(reachable)} of ${
      whole(policy)
    } is the most that can go with these settings, and ${
      formatRatio(ratio)
    } were asked for: the search ends where nothing is left to go`,
  ];
}
