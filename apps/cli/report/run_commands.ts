import {
  type ExportFlags,
  fixesDistribution,
  type RunFlags,
  type RunRecord,
  type SettingsName,
} from "@lopper/run";
import { percentWord } from "../inputs/options.ts";

/** Where a run that is made again goes. */
const OUT = "again";

/**
 * The command lines that make a run again, with everything that decided it said: one, or for a run that was extended one
 * for each of its ratios.
 */
export function runCommands(record: RunRecord): readonly string[] {
  const { flags, plan } = record;
  const shared = [...backendOptions(record), ...textOptions(flags)];
  if (plan !== null) {
    const ratio = record.frontier.length > 0 ? percentOption("ratio", record.ratio) : [];
    return [
      line([
        ...[...model(flags), ...option("plan", plan), ...ratio],
        ...option("recover", flags.recover),
        ...[...shared, ...ending(flags)],
      ]),
    ];
  }
  const [first, ...later] = [...flags.earlierRatios, flags.ratio];
  const target = flags.targetLatency === null
    ? percentOption("ratio", first)
    : option("target-latency", flags.targetLatency);
  const begin = [...model(flags), ...target, ...searchOptions(flags), ...shared];
  if (later.length === 0) return [line([...begin, ...ending(flags)])];
  return [
    line([...begin, ...option("out", OUT)]),
    ...later.map((ratio, i) =>
      line([
        "--resume",
        ...percentOption("ratio", ratio),
        ...(i === later.length - 1 ? ending(flags) : option("out", OUT)),
      ])
    ),
  ];
}

function model({ model }: RunFlags): readonly string[] {
  return model === null ? [] : [model];
}

function searchOptions(flags: RunFlags): readonly string[] {
  return [
    ...option("preset", flags.preset),
    ...(fixesDistribution(flags.preset as SettingsName)
      ? []
      : option("distribution", flags.distribution)),
    ...option("mlp-group", flags.mlpGroup),
    ...option("attention-group", flags.attentionGroup),
    ...option("order", flags.order),
    ...option("recover", flags.recover),
    ...option("swap", flags.swap),
    ...option("criterion", flags.criterion),
    ...option("search", flags.search),
    ...option("fast-without", flags.fastWithout === "" ? null : flags.fastWithout),
    ...percentOption("max-ppl-increase", flags.maxPplIncrease),
    ...(flags.bestEffort ? ["--best-effort"] : []),
    ...(flags.uniform ? ["--uniform"] : []),
  ];
}

function textOptions(flags: RunFlags): readonly string[] {
  return [
    ...options("calibration", flags.calibration),
    ...options("calibration-width", flags.calibrationWidth),
    ...option("held-out", flags.heldOut),
    ...option("samples", flags.samples),
    ...option("width-samples", flags.widthSamples),
    ...option("seq-len", flags.seqLen),
    ...option("seed", flags.seed),
  ];
}

function backendOptions({ backend: { name, threads } }: RunRecord): readonly string[] {
  return [...option("backend", name), ...option("threads", threads > 0 ? threads : null)];
}

function ending({ export: asked }: RunFlags): readonly string[] {
  return [...option("out", OUT), ...(asked ? exportOptions(asked) : [])];
}

function exportOptions({ format, dtype, quantize }: ExportFlags): readonly string[] {
  return [
    ...option("export", format),
    ...option("dtype", dtype),
    ...option("quantize", quantize),
  ];
}

function option(name: string, value: string | number | null): readonly string[] {
  return value === null ? [] : [`--${name}`, String(value)];
}

function percentOption(name: string, value: number | null): readonly string[] {
  return option(name, value === null ? null : percentWord(value));
}

/** An option that may be given several times. */
function options(name: string, values: string | readonly string[] | null): readonly string[] {
  return [values ?? []].flat().flatMap((value) => option(name, value));
}

function line(words: readonly string[]): string {
  return ["deno", "task", "prune", ...words.map(quoted)].join(" ");
}

/** A word as a POSIX shell takes it for one. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
