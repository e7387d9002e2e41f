import { type Backend, ENGINE_OPTIONS } from "@lopper/backends";
import type { LatencyTable } from "@lopper/core";
import { FolderLock, SourceWatch } from "@lopper/files";
import { type Model, modelDigest } from "@lopper/models";
import {
  type AppliedDecision,
  exportOf,
  type GivenRunOptions,
  latencyTable,
  policyOf,
  prune,
  ratioForBytes,
  ratioForLatency,
  rehearse,
  RUN_OPTIONS,
  type RunEvent,
  type RunFlags,
  type RunTools,
  statedDefaults,
} from "@lopper/run";
import { openTokenizer, type Tokenizer } from "@lopper/tokenizers";
import { Command } from "commander";
import { checkApart, sourcePath } from "../folder/apart.ts";
import { checkTogether, finishedRun, flagsOfPlan, withPlanOf } from "./asked_of_run.ts";
import { readTexts } from "./calibrate.ts";
import { conclude, type Finish } from "./conclude.ts";
import { decisionFromFile } from "./decide.ts";
import { type Interruption, UNINTERRUPTED } from "../terminal/interrupt.ts";
import { addOptions } from "../inputs/commander_options.ts";
import { budgetNow } from "../inputs/memory_budget.ts";
import { openUserBackend } from "../inputs/open_backend.ts";
import { openUserModel } from "../inputs/open_model.ts";
import { withFolder } from "../folder/own_folder.ts";
import { userPath } from "../inputs/paths.ts";
import { checkExport, checkPlace, exportAsked, exportPath } from "./prune_export.ts";
import { PRUNE_EXAMPLES } from "./examples.ts";
import { describeDryRun, describeStart } from "./prune_output.ts";
import { openReporter, type Reporter } from "../terminal/reporter.ts";
import { EMBEDDED, resolveFlags } from "./resolve_flags.ts";
import { defaultRunPath, RunFolder } from "../folder/run_folder.ts";
import { selfCalibration } from "./self_calibration.ts";
import { checkUnchanged } from "../inputs/source_check.ts";

export function pruneCommand(interruption: Interruption = UNINTERRUPTED): Command {
  const command = new Command("prune")
    .description("Remove what a model needs least, and write what stays as a smaller checkpoint.")
    .argument(
      "[MODEL]",
      "folder in Hugging Face layout, GGUF or ONNX file; without it, the embedded model",
    );
  return addOptions(command, statedDefaults(RUN_OPTIONS, EMBEDDED))
    .addHelpText("after", PRUNE_EXAMPLES)
    .action((path: string | undefined, options: GivenRunOptions) =>
      openRun(path, options, interruption)
    );
}

/** Takes the folder of a run, before anything in it is read, and gives it back. */
async function openRun(
  path: string | undefined,
  options: GivenRunOptions,
  interruption: Interruption,
) {
  const started = performance.now();
  const reporter = openReporter(options.json);
  checkTogether(options);
  const out = options.out === undefined
    ? await defaultRunPath(userPath(defaultName(path)), options.resume)
    : options.out;
  const asked = { path, out, options, reporter, started, interruption };
  if (!options.dryRun) {
    return await withFolder(out, (message) => reporter.warn(message), () => runIn(asked));
  }
  await FolderLock.check(out);
  await runIn(asked);
}

/** A run as it was asked for. */
interface Asked {
  /** The model. */
  readonly path: string | undefined;
  readonly out: string;
  readonly options: GivenRunOptions;
  readonly reporter: Reporter;
  /** Clock at the start, ms. */
  readonly started: number;
  readonly interruption: Interruption;
}

/** Opens what the run in a folder needs, and closes it again. */
async function runIn({ path, out, reporter, started, interruption, ...given }: Asked) {
  const folder = await RunFolder.open(out, given.options);
  const options = withPlanOf(folder, given.options);
  const finished = await finishedRun(folder, options);
  if (finished) {
    reporter.say(`${out} is finished already`);
    const exports = exportAsked(options, finished.flags);
    await checkPlace(exports, out, options, finished.flags.model ?? undefined);
    await conclude({ record: finished, exports, out, options, reporter, interruption });
    return;
  }
  const saved = folder.settings ?? undefined;
  const source = path ?? saved?.flags.model ?? null;
  const watch = new SourceWatch();
  const { model, title } = await openUserModel(source, (note) => reporter.note(note), watch);
  let finish: Finish | null;
  try {
    const place = await sourcePath(source, model);
    await checkApart(out, place);
    const earlier = saved?.flags ?? await flagsOfPlan(options.plan);
    const { targetBytes } = options;
    const asked = targetBytes === undefined
      ? options
      : { ...options, ratio: ratioForBytes(model, title, targetBytes) };
    const flags = resolveFlags(asked, source, model.spec, earlier);
    await checkExport(exportOf(flags), {
      ...{ model, source: place, out, options },
      uniform: flags.uniform,
    });
    const engine = options.backend === "auto" && saved
      ? ENGINE_OPTIONS.backend.form.schema.parse(saved.backend)
      : options.backend;
    const backend = await openUserBackend(engine, options.threads, (m) => reporter.say(m));
    try {
      const hint = `stopped; nothing is lost, continue with: deno task prune --resume --out ${out}`;
      const check = () => interruption(folder.begun ? hint : "stopped");
      const checkSource = (digest: string) => checkUnchanged(watch, source, digest);
      const tools = { backend, folder, reporter, started, check, checkSource };
      const parts = { model, title, flags, options: asked, ...tools };
      const aim = await timed(parts);
      finish = await pruneOpened({ ...parts, flags: aim.flags }, aim.latencies);
    } finally {
      await backend.dispose();
    }
  } catch (error) {
    throw await folder.withWayOn(error);
  } finally {
    reporter.stop();
    model.close();
    await folder.close();
  }
  if (finish) await conclude({ ...finish, out, options, reporter, interruption });
}

/** A run with everything open that it needs. */
interface Run {
  readonly model: Model;
  readonly title: string;
  readonly flags: RunFlags;
  readonly backend: Backend;
  readonly folder: RunFolder;
  readonly options: GivenRunOptions;
  readonly reporter: Reporter;
  /** Clock at the start, ms. */
  readonly started: number;
  /** Throws when the user wants to stop. */
  readonly check: () => void;
  /** Throws when the model is not what it was, by its digest. */
  readonly checkSource: (digest: string) => Promise<void>;
}

/** What a target means: the ratio, and what predicts the time of a token where that is the target. */
interface Aim {
  readonly flags: RunFlags;
  readonly latencies: LatencyTable | null;
}

/** What a target of latency means, by a table of timings; other targets mean what they say. */
async function timed(run: Run): Promise<Aim> {
  const { model, title, flags, backend, folder, options } = run;
  if (flags.targetLatency === null) return { flags, latencies: null };
  const latencies = await latencyTable(model, flags, folder.settings, {
    backend,
    memory: () => budgetNow(options.memory),
    onProgress: progressOf(run, "timing blocks"),
  });
  run.reporter.stop();
  const ratio = ratioForLatency(model, title, latencies, flags.targetLatency);
  return { flags: { ...flags, ratio }, latencies };
}

function progressOf({ reporter, check }: Run, what: string) {
  return (done: number, total: number) => {
    reporter.progress(what, done, total);
    check();
  };
}

/** Reads the texts, prunes or rehearses, and draws what is told meanwhile. Null after a rehearsal. */
async function pruneOpened(run: Run, latencies: LatencyTable | null): Promise<Finish | null> {
  const { model, flags, backend, folder, options, reporter, check } = run;
  // What is out of reach is refused before a text is read.
  if (options.plan === undefined) policyOf(model, flags, latencies);
  using tokenizer = await openTokenizer(model.folder);
  let known: string | undefined;
  const texts = await readTexts(flags, model.spec, tokenizer, async (count) => {
    known ??= await modelDigest(model, progressOf(run, "reading the model"));
    reporter.stop();
    return await ownTexts(run, tokenizer, known, count);
  }, (line) => reporter.note(line));
  const task = { flags, latencies, applied: appliedIn(run), modelDigest: known };
  const tools: RunTools = {
    ...{ backend, tokenizer, store: folder },
    memory: () => budgetNow(options.memory),
    signal: { throwIfAborted: check },
    started: run.started,
    checkSource: run.checkSource,
  };
  const draw = (event: RunEvent) =>
    event.type === "begin"
      ? reporter.say(describeStart(run.title, model, backend, event.flags, texts))
      : drawEvent(event, reporter);
  if (options.dryRun) {
    const { dry, decision, policy, ...found } = await drawn(
      rehearse(model, texts, task, tools),
      draw,
    );
    const exports = exportOf(flags);
    const exportedTo = exports && exportPath(folder.path, exports);
    reporter.result(
      { dryRun: dry ?? decision, flags: found.flags },
      describeDryRun(model.spec, found.flags, dry, decision, policy, exportedTo),
    );
    return null;
  }
  const { record } = await drawn(prune(model, texts, task, tools), draw);
  return { record, exports: exportOf(flags) };
}

function drawEvent(event: Exclude<RunEvent, { type: "begin" }>, reporter: Reporter) {
  switch (event.type) {
    case "progress":
      return reporter.progress(event.phase, event.done, event.total);
    case "finished":
      return reporter.stop();
    case "search":
      return reporter.search(event.event);
    case "repair":
      return reporter.repair(event.line, event.resumed);
    case "note":
      return reporter.say(event.message);
  }
}

/** Draws what is told, and gives what comes of it. */
async function drawn<T>(
  events: AsyncGenerator<RunEvent, T>,
  draw: (event: RunEvent) => void,
): Promise<T> {
  let next = await events.next();
  for (; !next.done; next = await events.next()) draw(next.value);
  return next.value;
}

/** What --plan asks for, if it does. */
function appliedIn({ model, options: { plan, ratio } }: Run): AppliedDecision | undefined {
  return plan === undefined ? undefined : {
    source: plan,
    ratio: ratio ?? null,
    decide: (modelDigest, published) =>
      decisionFromFile(plan, model, modelDigest, published, ratio),
  };
}

/** Calibration text that the dense model writes. */
async function ownTexts(run: Run, tokenizer: Tokenizer, modelDigest: string, count: number) {
  const { model, backend, flags, options, reporter } = run;
  const texts = await selfCalibration({
    ...{ model, modelDigest, backend, tokenizer, count },
    seqLen: flags.seqLen,
    seed: flags.seed,
    budget: budgetNow(options.memory),
    onProgress: progressOf(run, "writing text to calibrate on"),
  });
  reporter.stop();
  return texts;
}

function defaultName(path: string | undefined): string {
  const name = (path ?? "demo").split(/[\\/]/).filter((part) => part !== "").at(-1)!
    .replace(/\.(gguf|onnx)$/i, "");
  return `lopper-${name}-pruned`;
}
