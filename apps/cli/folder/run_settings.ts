import { describeIssue, ResumeError, sha256, VERSION } from "@lopper/core";
import { CRITERIA, distribution, type RunFlags, type RunSettings, SETTINGS } from "@lopper/run";
import { ORDER_CHOICES } from "@lopper/importance";
import { TECHNIQUES } from "@lopper/search";
import { z } from "zod";
import { calibrationParts } from "../prune/calibration_parts.ts";
import { EXPORT_FORMATS } from "../exporting/export_formats.ts";
import { BACKEND_CHOICES } from "../inputs/open_backend.ts";

const techniques: readonly string[] = TECHNIQUES;
const choice = (names: readonly string[]) => z.enum(names as [string, ...string[]]);
/** Whether something reads a setting without an error. */
const readBy = <T>(read: (value: T) => unknown) => (value: T) => {
  try {
    read(value);
    return true;
  } catch {
    return false;
  }
};
const texts = z.union([z.string(), z.array(z.string())]).nullable()
  .refine(
    readBy((flag: RunFlags["calibration"]) => flag === null || calibrationParts(flag)),
    "no text has a weight of 0",
  );

/** Settings that have names, which options of the command line give. */
const names = z.looseObject({
  backend: choice(BACKEND_CHOICES).optional(),
  flags: z.looseObject({
    preset: choice(Object.keys(SETTINGS)),
    distribution: z.string().refine(readBy(distribution), "three shares are needed, or auto"),
    order: choice(ORDER_CHOICES),
    recover: choice(["none", "auto"]),
    swap: choice(["none", "auto"]),
    criterion: choice(CRITERIA),
    search: choice(["fast", "exhaustive"]),
    fastWithout: z.string().refine(
      (list) => list === "" || list.split(",").every((name) => techniques.includes(name)),
      `names of ${TECHNIQUES.join(", ")} are needed`,
    ),
    calibration: texts,
    calibrationWidth: texts,
    export: z.looseObject({
      format: choice(Object.keys(EXPORT_FORMATS)),
      dtype: choice(["fp32", "fp16"]).nullable(),
      quantize: z.string().nullable(),
    }).refine(({ format, quantize }) =>
      quantize === null ||
      (EXPORT_FORMATS[format].quantizations as readonly string[]).includes(quantize), {
      message: "the format has no such quantisation",
      path: ["quantize"],
    }).nullable(),
  }),
});

/**
 * Checks that names in settings that were read are some that options have.
 * @throws {ResumeError} naming the first that is none.
 */
export function checkNames(
  settings: { readonly flags: RunFlags; readonly backend?: string },
  file: string,
) {
  const { backend, flags } = settings;
  const { error } = names.safeParse({ backend, flags });
  if (error) throw new ResumeError(`${file}: ${describeIssue(error.issues)}`);
}

/** Settings that may differ: what files hold is in the digests; how a target ends is no contradiction, nor what follows. */
const NOT_DECIDING: readonly string[] = [
  "model",
  "calibration",
  "calibrationWidth",
  "heldOut",
  "bestEffort",
  "earlierRatios",
  "export",
] satisfies (keyof RunFlags)[];

const RATIO = "the setting ratio";

/** What a run depends on, in words. */
function decidingFacts(s: RunSettings): readonly (readonly [string, unknown])[] {
  return [
    ["the model", s.modelDigest],
    ["the block calibration text", s.calibrationDigest.block],
    ["the width calibration text", s.calibrationDigest.width],
    ["the held-out text", s.heldOutDigest ?? null],
    ["the plan", s.plan?.digest ?? null],
    ["the backend", s.backend],
    ...Object.entries(s.flags)
      .filter(([flag]) => !NOT_DECIDING.includes(flag))
      .map(([flag, value]): [string, unknown] => [`the setting ${flag}`, value]),
    // Whether some is kept aside depends on settings, which say more.
    ["the calibration text kept aside", s.asideDigest ?? null],
    ["the calibration text to fit on", s.fitDigest ?? null],
  ];
}

/**
 * What the first line of a run's journal is bound to: everything that the run depends on but the ratio, which may grow. A
 * journal of other settings does not follow it.
 */
export function journalHead(settings: RunSettings): Promise<string> {
  const facts = decidingFacts(settings).filter(([what]) => what !== RATIO)
    .toSorted(([a], [b]) => a < b ? -1 : 1);
  const head = [settings.version, settings.latencies ?? null, facts];
  return sha256(new TextEncoder().encode(JSON.stringify(head, inOrder)));
}

/** The order of keys says nothing: it is another in what was read than in what was measured. */
function inOrder(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => a < b ? -1 : 1));
}

/** Names the first thing in which two runs differ, in words. */
export function checkSameSettings(before: RunSettings, now: RunSettings, path: string) {
  const current = new Map(decidingFacts(now));
  const extended = now.flags.ratio > before.flags.ratio;
  for (const [what, value] of decidingFacts(before)) {
    if (current.get(what) === value || what === RATIO && extended) continue;
    throw new ResumeError(
      `${path} cannot be resumed: ${what} was ${JSON.stringify(value)} and is now ${
        JSON.stringify(current.get(what))
      } (use the same, or start again with --overwrite)`,
    );
  }
  if (before.version !== VERSION) {
    throw new ResumeError(
      `${path} was begun by Lopper ${before.version} and this is ${VERSION}; start again with --overwrite`,
    );
  }
}
