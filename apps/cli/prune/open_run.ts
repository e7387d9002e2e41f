import { type Backend, ENGINE_OPTIONS } from "@lopper/backends";
import type { LatencyTable, StopSignal } from "@lopper/core";
import { SourceWatch } from "@lopper/files";
import { type Model, modelDigest } from "@lopper/models";
import {
  type AppliedDecision,
  exportOf,
  type GivenRunOptions,
  keepsBatches,
  latencyTable,
  openFitting,
  policyOf,
  type PruneTask,
  ratioForBytes,
  ratioForLatency,
  type RunFlags,
  type RunTexts,
  type RunTools,
} from "@lopper/run";
import { openTokenizer, type Tokenizer } from "@lopper/tokenizers";
import { checkApart } from "../shared/folder/apart.ts";
import { openQueue, type OwnEngines } from "./open_queue.ts";
import type { RunFolder } from "../shared/folder/run_folder.ts";
import { budgetNow } from "../shared/inputs/memory_budget.ts";
import { openUserBackend } from "../shared/inputs/open_backend.ts";
import {
  type LocatedModel,
  type LocateModels,
  namedAgain,
} from "../shared/inputs/locate_models.ts";
import { openLocated } from "../shared/inputs/open_model.ts";
import { checkUnchanged } from "../shared/inputs/source_check.ts";
import type { Interruption } from "../shared/terminal/interrupt.ts";
import type { Reporter } from "../shared/terminal/reporter.ts";
import { flagsOfPlan } from "./asked_of_run.ts";
import { readTexts } from "./calibrate.ts";
import { decisionFromFile } from "./decide.ts";
import { checkExport } from "./prune_export.ts";
import { resolveFlags } from "./resolve_flags.ts";
import { namesOfRun } from "../shared/reporting/run_names.ts";
import { selfCalibration } from "./self_calibration.ts";
import { commandLine } from "../called_as.ts";

/** Who runs a command, and since when. */
export interface RunOfUser {
  readonly reporter: Reporter;
  readonly interruption: Interruption;
  readonly locate: LocateModels;
  /** Clock at the start, ms. */
  readonly started: number;
}

/** All that a run needs, open. */
export interface OpenRun extends AsyncDisposable {
  readonly model: Model;
  readonly title: string;
  readonly texts: RunTexts;
  readonly task: PruneTask;
  readonly tools: RunTools;
}

/** A model with what is asked of it. */
interface Asked {
  readonly model: Model;
  readonly title: string;
  readonly flags: RunFlags;
  readonly options: GivenRunOptions;
}

/** What work of a run is done with. */
interface Tools {
  readonly backend: Backend;
  readonly reporter: Reporter;
  readonly signal: StopSignal;
}

/**
 * Opens the model, says what the settings are, opens the engine and reads the texts. Whoever opens
 * a run disposes of it.
 * @throws {LopperError} when something is not there, does not go together or is out of reach,
 *   before any of the work.
 */
export async function openRun(
  folder: RunFolder,
  path: string | undefined,
  options: GivenRunOptions,
  { reporter, interruption, started, locate }: RunOfUser,
): Promise<OpenRun> {
  await using opening = new AsyncDisposableStack();
  const name = namedAgain(path, folder.settings?.flags.model ?? null);
  const [located] = await locate([name], { offline: options.offline, reporter, interruption });
  const { title } = located;
  const watch = new SourceWatch();
  const model = opening.use(await openLocated(located, (note) => reporter.note(note), watch));
  const asked = await askedOf(folder, located, options, model);
  const backend = opening.use(await openBackendOf(folder, asked, reporter));
  const again = commandLine(`prune --resume --out ${folder.path}`);
  const hint = `stopped; nothing is lost, continue with: ${again}`;
  const signal = interruption.saying(() => folder.begun ? hint : "stopped");
  const tools = { backend, reporter, signal };
  const aimed = { ...asked, ...await timed(folder, asked, tools) };
  // What is out of reach is refused before a text is read.
  if (options.plan === undefined) policyOf(model, aimed.flags, aimed.latencies);
  const tokenizer = opening.use(await openTokenizer(model.folder));
  const { texts, digest } = await textsOf(aimed, tokenizer, tools);
  const { flags, latencies } = aimed;
  const queue = options.workers === undefined
    ? undefined
    : opening.use(await openQueue(options.workers, enginesOf(located, aimed, backend), reporter));
  const opened = opening.move();
  return {
    ...{ model, title, texts },
    task: {
      ...{ flags, latencies, applied: appliedIn(model, asked.options), modelDigest: digest },
      names: namesOfRun(title, flags),
    },
    tools: {
      ...{ backend, tokenizer, store: folder, signal, started, queue },
      memory: () => budgetNow(options.memory),
      checkSource: (digest) => checkUnchanged(watch, located, digest),
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** What workers on this machine work with. */
function enginesOf(
  { path, title }: LocatedModel,
  { options: { threads, memory } }: Asked,
  { description }: Backend,
): OwnEngines {
  const backend = ENGINE_OPTIONS.backend.form.schema.parse(description.name);
  return { path, title, backend, threads, memory, modelDigest: null };
}

/** The settings of a run of a model, in a place where they can be met. */
async function askedOf(
  folder: RunFolder,
  { path, title, source }: LocatedModel,
  given: GivenRunOptions,
  model: Model,
): Promise<Asked> {
  const place = path ?? model.folder.name;
  await checkApart(folder.path, place);
  const earlier = folder.settings?.flags ?? await flagsOfPlan(given.plan);
  const { targetBytes } = given;
  const options = targetBytes === undefined
    ? given
    : { ...given, ratio: ratioForBytes(model, title, targetBytes) };
  const flags = resolveFlags(options, source, model.architecture, earlier);
  const { uniform } = flags;
  const exported = { model, source: place, out: folder.path, options, uniform };
  await checkExport(exportOf(flags), exported);
  return { model, title, flags, options };
}

/**
 * The engine that was asked for, else the one that the run was begun with. Of one that shares out
 * its work, as much as fits.
 */
async function openBackendOf(
  folder: RunFolder,
  { model, flags, options }: Asked,
  reporter: Reporter,
): Promise<Backend> {
  const { backend, threads, memory } = options;
  const name = backend === "auto" && folder.settings
    ? ENGINE_OPTIONS.backend.form.schema.parse(folder.settings.backend)
    : backend;
  const open = (threads?: number) =>
    openUserBackend(name, { threads }, (message) => reporter.say(message));
  if (threads !== undefined) return await open(threads);
  const tools = { memory: () => budgetNow(memory), store: folder };
  return await openFitting(open, keepsBatches(model, flags, tools));
}

/** What a target of latency means, by a table of timings; other targets mean what they say. */
async function timed(
  { settings }: RunFolder,
  { model, title, flags, options }: Asked,
  tools: Tools,
): Promise<{ readonly flags: RunFlags; readonly latencies: LatencyTable | null }> {
  if (flags.targetLatency === null) return { flags, latencies: null };
  const latencies = await latencyTable(model, flags, settings, {
    backend: tools.backend,
    memory: () => budgetNow(options.memory),
    onProgress: progressOf(tools, "timing blocks"),
  });
  tools.reporter.stop();
  const ratio = ratioForLatency(model, title, latencies, flags.targetLatency);
  return { flags: { ...flags, ratio }, latencies };
}

function progressOf({ reporter, signal }: Tools, what: string) {
  return (done: number, total: number) => {
    reporter.progress(what, done, total);
    signal.throwIfAborted();
  };
}

/** The texts of a run, and the model's digest where text of its own needed that. */
async function textsOf(
  { model, flags, options }: Asked,
  tokenizer: Tokenizer,
  tools: Tools,
): Promise<{ readonly texts: RunTexts; readonly digest: string | undefined }> {
  const { backend, reporter } = tools;
  let digest: string | undefined;
  const ownTexts = async (count: number) => {
    digest ??= await modelDigest(model, progressOf(tools, "reading the model"));
    reporter.stop();
    const texts = await selfCalibration({
      ...{ model, modelDigest: digest, backend, tokenizer, count },
      seqLen: flags.seqLen,
      seed: flags.seed,
      budget: budgetNow(options.memory),
      onProgress: progressOf(tools, "writing text to calibrate on"),
    });
    reporter.stop();
    return texts;
  };
  const note = (line: string) => reporter.note(line);
  const texts = await readTexts(flags, model.architecture, tokenizer, ownTexts, note);
  return { texts, digest };
}

/** What --plan asks for, if it does. */
function appliedIn(
  model: Model,
  { plan, ratio }: GivenRunOptions,
): AppliedDecision | undefined {
  return plan === undefined ? undefined : {
    source: plan,
    ratio: ratio ?? null,
    decide: (modelDigest, published) =>
      decisionFromFile(plan, model, modelDigest, published, ratio),
  };
}
