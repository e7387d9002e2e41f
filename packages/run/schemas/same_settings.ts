import { ResumeError, sha256, VERSION } from "@lopper/core";
import { RUN_OPTIONS } from "../options/run_options.ts";
import { type Decides, isSetting } from "../options/setting.ts";
import type { OptionTable } from "@lopper/options";
import type { RunSettings } from "./settings.ts";

/** A thing that a run depends on, in words. */
interface Fact {
  readonly what: string;
  readonly value: unknown;
  readonly decides: Exclude<Decides, "free">;
}

/** The settings of a table that decide something. */
export function decidingSettings(
  table: OptionTable,
  flags: Readonly<Record<string, unknown>>,
): readonly Fact[] {
  return Object.entries(table).flatMap(([key, option]) =>
    !isSetting(option) || option.decides === "free"
      ? []
      : [{ what: `the setting ${key}`, value: flags[key], decides: option.decides }]
  );
}

/** What a run depends on. What files hold is in the digests. */
function decidingFacts(s: RunSettings): readonly Fact[] {
  const same = (what: string, value: unknown): Fact => ({ what, value, decides: "same" });
  return [
    same("the model", s.modelDigest),
    same("the block calibration text", s.calibrationDigest.block),
    same("the width calibration text", s.calibrationDigest.width),
    same("the held-out text", s.heldOutDigest ?? null),
    same("the plan", s.plan?.digest ?? null),
    same("the backend", s.backend),
    ...decidingSettings(RUN_OPTIONS, s.flags),
    same("the setting batchTokens", s.flags.batchTokens),
    // Journals of runs that do not say it were bound to nothing of the kind.
    ...(s.flags.narrowsExperts ? [same("whether channels of experts may go", true)] : []),
    // Whether some is kept aside depends on settings, which say more.
    same("the validation text", s.validationDigest ?? null),
    same("the text that rankings and refits learn from", s.extendedDigest ?? null),
  ];
}

/**
 * What the first line of a run's journal is bound to: everything that the run depends on but what
 * may grow. A journal of other settings does not follow it.
 */
export function journalHead(settings: RunSettings): Promise<string> {
  const facts = decidingFacts(settings)
    .flatMap(({ what, value, decides }) => decides === "same" ? [[what, value]] : [])
    .toSorted(([a], [b]) => String(a) < String(b) ? -1 : 1);
  const head = [settings.version, settings.latencies ?? null, facts];
  return sha256(new TextEncoder().encode(JSON.stringify(head, inOrder)));
}

/** The order of keys says nothing: it is another in what was read than in what was measured. */
function inOrder(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => a < b ? -1 : 1));
}

/** @throws {ResumeError} naming the first thing in which two runs differ, in words. */
export function checkSameSettings(before: RunSettings, now: RunSettings, path: string) {
  const current = new Map(decidingFacts(now).map(({ what, value }) => [what, value]));
  for (const { what, value, decides } of decidingFacts(before)) {
    const [was, is] = [JSON.stringify(value), JSON.stringify(current.get(what))];
    if (was === is || decides === "grows" && Number(is) > Number(was)) continue;
    throw new ResumeError(
      `${path} cannot be resumed: ${what} was ${was} and is now ${is} (use the same, or start again with --overwrite)`,
    );
  }
  if (before.version !== VERSION) {
    throw new ResumeError(
      `${path} was begun by Lopper ${before.version} and this is ${VERSION}; start again with --overwrite`,
    );
  }
}
