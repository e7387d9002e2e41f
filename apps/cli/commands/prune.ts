import type { Backend } from "@lopper/backends";
import {
  countParameters,
  type ExportFlags,
  latencyOf,
  type LatencyRecord,
  type LatencyTable,
  type Recovery,
  type RunFlags,
  type RunRecord,
  type RunSettings,
  VERSION,
} from "@lopper/core";
import { textDamage } from "@lopper/evaluation";
import { type CalibrationSet, tokenCount, weightOrder } from "@lopper/importance";
import {
  digestOfPlan,
  type Model,
  modelDigest,
  openTokenizer,
  RECORD_SCHEMA,
  SETTINGS_SCHEMA,
  type Tokenizer,
} from "@lopper/model-io";
import { FolderLock, SourceWatch } from "@lopper/model-io/files";
import {
  againstDense,
  arrangerOf,
  type Decision,
  heldOutPrompts,
  heldOutSamples,
  latencyTable,
  measuredLatency,
  type MeasuredOn,
  measureModel,
  measureWritten,
  type MemoryPlan,
  type ModelMeasures,
  openScorer,
  pickerOf,
  planMemory,
  policyOf,
  ratioForBytes,
  ratioForLatency,
  recover,
  type RunTexts,
  SAMPLE_PROMPT,
  scorerOnce,
  search,
  type TimingTools,
  writeResult,
} from "@lopper/run";
import { Decoder, LaidOutWeights, ResidentDecoder, weightMemory } from "@lopper/runtime";
import { checkHistory, type History, type SearchPolicy, sideWork } from "@lopper/search";
import { Command } from "commander";
import { join } from "node:path";
import { checkApart, sourcePath } from "../apart.ts";
import { checkTogether, finishedRun, flagsOfPlan, withPlanOf } from "../asked_of_run.ts";
import { readTexts } from "../calibrate.ts";
import { decisionFromFile } from "../decide.ts";
import { describeExport } from "../export_record.ts";
import { type Interruption, UNINTERRUPTED } from "../interrupt.ts";
import { budgetNow } from "../memory_budget.ts";
import { openUserBackend } from "../open_backend.ts";
import { openUserModel } from "../open_model.ts";
import { withFolder } from "../own_folder.ts";
import { userPath } from "../paths.ts";
import {
  checkExport,
  checkPlace,
  type Exported,
  exportFlags,
  exportPath,
  exportResult,
} from "../prune_export.ts";
import { addPruneOptions, type PruneOptions } from "../prune_options.ts";
import { describeDryRun, describeResult, describeStart, rehearseRun } from "../prune_output.ts";
import { writeReport } from "../report_page.ts";
import { openReporter, type Reporter } from "../reporter.ts";
import { resolveFlags } from "../resolve_flags.ts";
import { FILES } from "../run_files.ts";
import { defaultRunPath, RunFolder } from "../run_folder.ts";
import { selfCalibration } from "../self_calibration.ts";
import { checkUnchanged } from "../source_check.ts";

export function pruneCommand(interruption: Interruption = UNINTERRUPTED): Command {
  const command = new Command("prune")
    .description("Remove what a model needs least, and write what stays as a smaller checkpoint.")
    .argument(
      "[MODEL]",
      "folder in Hugging Face layout, GGUF or ONNX file; without it, the embedded model",
    );
  return addPruneOptions(command).action((path: string | undefined, options: PruneOptions) =>
    openRun(path, options, interruption)
  );
}

/** Takes the folder of a run, before anything in it is read, and gives it back. */
async function openRun(
  path: string | undefined,
  given: PruneOptions,
  interruption: Interruption,
) {
  const { plan } = given;
  const options = plan === undefined ? given : { ...given, plan: userPath(plan) };
  const started = performance.now();
  const reporter = openReporter(options.json);
  checkTogether(options);
  const out = options.out === undefined
    ? await defaultRunPath(userPath(defaultName(path)), options.resume)
    : userPath(options.out);
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
  readonly options: PruneOptions;
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
    const exports = exportFlags(options, finished.flags.export);
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
    await checkExport(flags.export, {
      ...{ model, source: place, out, options },
      uniform: flags.uniform,
    });
    const engine = options.backend === "auto" ? saved?.backend ?? "auto" : options.backend;
    const backend = await openUserBackend(engine, options.threads, (m) => reporter.say(m));
    try {
      const hint = `stopped; nothing is lost, continue with: deno task prune --resume --out ${out}`;
      const check = () => interruption(folder.begun ? hint : "stopped");
      const checkSource = (digest: string) => checkUnchanged(watch, source, digest);
      const tools = { backend, folder, reporter, started, check, checkSource };
      const parts = { model, title, flags, options: asked, ...tools };
      finish = await prune({ ...parts, ...await timed(parts) });
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

/** Where a run ends that was not only a rehearsal. */
interface Finish {
  readonly record: RunRecord;
  readonly exports: ExportFlags | null;
}

interface Concluding extends Finish {
  readonly out: string;
  readonly options: PruneOptions;
  readonly reporter: Reporter;
  readonly interruption: Interruption;
}

/** Writes the page, exports the result if that was asked for, and reports: the result, too, where its export fails. */
async function conclude(run: Concluding) {
  const { out, record, exports: flags, reporter } = run;
  const report = await reportResult(out, reporter);
  let exported: Exported | null = null;
  try {
    if (flags) exported = await exportResult({ ...run, flags });
  } finally {
    const text = describeResult(record, out, report);
    reporter.result(
      {
        out,
        report,
        ...record,
        ...(exported && { export: { out: exported.path, ...exported.record } }),
      },
      exported ? `${text}\n\n${describeExport(exported.record, exported.path)}` : text,
    );
  }
}

/**
 * Writes the page of a finished run where there is none; null where that fails, which takes nothing from the result.
 */
async function reportResult(out: string, reporter: Reporter): Promise<string | null> {
  const path = join(out, FILES.report);
  if (await Deno.stat(path).then(({ isFile }) => isFile, () => false)) return path;
  try {
    return await writeReport(out);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    reporter.warn(
      `the result is complete, its page is not: ${reason} (lopper report ${out} tries again)`,
    );
    return null;
  }
}

interface Run {
  readonly model: Model;
  readonly title: string;
  readonly flags: RunFlags;
  readonly backend: Backend;
  readonly folder: RunFolder;
  readonly options: PruneOptions;
  readonly reporter: Reporter;
  /** Clock at the start, ms. */
  readonly started: number;
  /** Throws when the user wants to stop. */
  readonly check: () => void;
  /** Throws when the model is not what it was, by its digest. */
  readonly checkSource: (digest: string) => Promise<void>;
}

/** A run that knows what its target means. */
interface Aimed extends Run {
  /** What predicts the time of a token, or null where the target is another. */
  readonly latencies: LatencyTable | null;
}

/** What a target of latency means, by a table of timings; other targets mean what they say. */
async function timed(run: Run): Promise<Pick<Aimed, "flags" | "latencies">> {
  const { model, title, flags, folder, reporter } = run;
  if (flags.targetLatency === null) return { flags, latencies: null };
  const tools = timingTools(run, "timing blocks");
  const latencies = await latencyTable(model, flags, folder.settings, tools);
  reporter.stop();
  const ratio = ratioForLatency(model, title, latencies, flags.targetLatency);
  return { flags: { ...flags, ratio }, latencies };
}

function timingTools({ backend, options, reporter, check }: Run, what: string): TimingTools {
  return {
    backend,
    memory: () => budgetNow(options.memory),
    onProgress: (done, total) => {
      reporter.progress(what, done, total);
      check();
    },
  };
}

/** What was predicted of the result, and what it takes: both models are measured anew, one right after the other. */
async function measureLatency(
  run: Aimed,
  latencies: LatencyTable,
  { layers }: Decision,
): Promise<LatencyRecord> {
  const { model, folder, flags, reporter } = run;
  const { amount } = latencyOf(latencies);
  const dense = await measuredLatency(model, latencies, timingTools(run, "timing the dense model"));
  const written = await folder.reopen();
  try {
    const tools = timingTools(run, "timing the result");
    const pruned = await measuredLatency(written, latencies, tools);
    reporter.stop();
    return {
      target: flags.targetLatency!,
      pastTokens: latencies.pastTokens,
      predicted: { dense: amount(model.spec.layers), pruned: amount(layers) },
      measured: { dense, pruned },
    };
  } finally {
    written.close();
  }
}

/** Describe, calibrate, decide, write, measure, report. */
async function prune(run: Aimed): Promise<Finish | null> {
  const { model, backend, folder, options, reporter, latencies } = run;
  const policy = options.plan === undefined ? policyOf(model, run.flags, latencies) : null;
  const earlier = secondsOf(folder.history);
  using tokenizer = await openTokenizer(model.folder);
  let known: Promise<string> | null = null;
  const digestOfModel = () => {
    const onProgress = (done: number, total: number) => {
      reporter.progress("reading the model", done, total);
      run.check();
    };
    return known ??= modelDigest(model, onProgress).finally(() => reporter.stop());
  };
  const texts = await readTexts(
    run.flags,
    model.spec,
    tokenizer,
    async (count) => await ownTexts(run, tokenizer, await digestOfModel(), count),
  );
  const on = { texts, tokenizer, prompts: heldOutPrompts(texts, model.spec) };
  const memory = shareMemory(run, texts);
  const flags = { ...run.flags, batchTokens: memory.batchTokens };
  reporter.say(describeStart(run.title, model, backend, flags, texts));
  const digest = await digestOfModel();
  const settings: RunSettings = {
    kind: "lopper-run-settings",
    schema: SETTINGS_SCHEMA,
    version: VERSION,
    modelDigest: digest,
    calibrationDigest: { block: texts.block.digest, width: texts.width.digest },
    ...(flags.heldOut !== null && { heldOutDigest: texts.heldOut.digest }),
    ...(texts.aside && { asideDigest: texts.aside.digest }),
    ...((flags.order !== "l1" || flags.recover !== "none") && { fitDigest: texts.fit.digest }),
    backend: backend.description.name,
    ...(latencies && { latencies }),
    flags,
  };
  const decided = await decide({ ...run, policy, texts, memory, settings, on });
  if (!decided) return null;
  const { decision, dense, recovery, files } = decided;
  const pruned = await measureWritten(
    backend,
    folder,
    memory.expandedBytes,
    (decoder) => measureModel(decoder, on, onMeasured(run)),
  );
  reporter.stop();
  const latency = latencies && await measureLatency(run, latencies, decision);

  const { name, engine, threads } = backend.description;
  const beside = sideWork(folder.history);
  const record: RunRecord = {
    kind: "lopper-run",
    schema: RECORD_SCHEMA,
    version: VERSION,
    modelDigest: digest,
    prunedDigest: pruned.digest,
    calibrationDigest: settings.calibrationDigest,
    heldOutDigest: texts.heldOut.digest,
    flags,
    plan: options.plan ?? null,
    planDigest: await digestOfPlan(decision.plan),
    journal: folder.journalChecksum,
    backend: { name, engine, threads },
    ratio: decision.ratio,
    parameters: { dense: countParameters(model.spec).total, pruned: pruned.parameters },
    bytes: { dense: model.weightBytes, pruned: pruned.bytes },
    latency,
    quantised: model.quantised,
    perplexity: {
      calibration: { dense: dense.calibration, pruned: pruned.calibration },
      heldOut: { dense: dense.heldOut, pruned: pruned.heldOut },
    },
    blockTokens: {
      ...decision.blockTokens,
      beside: {
        predictions: decided.predictions,
        orders: beside.orders.blockTokens,
        swaps: beside.swaps.blockTokens,
        repairs: beside.repairs.blockTokens,
      },
    },
    wallSeconds: earlier + (performance.now() - run.started) / 1000,
    files,
    steps: policy ? decision.frontier.length : 0,
    frontier: decision.frontier,
    swaps: decision.swaps,
    stopped: decision.stopped,
    orders: decision.orders,
    recovery,
    layers: { dense: model.spec.layers, pruned: decision.layers },
    sample: {
      prompt: SAMPLE_PROMPT,
      dense: dense.continuation,
      pruned: pruned.continuation,
    },
    heldOutSamples: await heldOutSamples(on, dense, pruned),
    damage: {
      calibration: await textDamage(
        texts.block,
        dense.nll.calibration,
        pruned.nll.calibration,
        tokenizer,
      ),
      heldOut: await textDamage(texts.heldOut, dense.nll.heldOut, pruned.nll.heldOut, tokenizer),
    },
  };
  await run.checkSource(digest);
  await folder.finish(record);
  return { record, exports: flags.export };
}

/** What an earlier part of a run took, as far as its journal says. */
function secondsOf(history: History): number {
  const { orders, swaps, repairs } = sideWork(history);
  return [...history.steps, ...history.measures.map(({ cost }) => cost), orders, swaps, repairs]
    .reduce((sum, { seconds }) => sum + seconds, 0);
}

/** Tokens that a dry run times together. */
const TIMED_TOKENS = 1024;

/** Calibration text that the dense model writes. */
async function ownTexts(run: Run, tokenizer: Tokenizer, modelDigest: string, count: number) {
  const { model, backend, flags, options, reporter, check } = run;
  const texts = await selfCalibration({
    ...{ model, modelDigest, backend, tokenizer, count },
    seqLen: flags.seqLen,
    seed: flags.seed,
    budget: budgetNow(options.memory),
    onProgress: (done, total) => {
      reporter.progress("writing text to calibrate on", done, total);
      check();
    },
  });
  reporter.stop();
  return texts;
}

/** What may be held in memory while the run goes on. @throws {InsufficientMemoryError} when it cannot. */
function shareMemory({ model, flags, backend, options, folder }: Run, texts: RunTexts): MemoryPlan {
  const tokens = Math.max(tokenCount(texts.block), tokenCount(texts.width));
  const needs = {
    spec: model.spec,
    weights: weightMemory(model),
    length: flags.seqLen,
    tokens,
    batchTokens: flags.batchTokens,
    // A run that goes on has to go on with the batches that it has.
    fixed: folder.settings !== null,
    backend: backend.description,
    recovers: flags.recover !== "none",
    compensates: flags.order === "compensated",
    predicts: againstDense(flags),
  };
  return planMemory(needs, budgetNow(options.memory));
}

interface Deciding extends Run {
  readonly policy: SearchPolicy | null;
  readonly texts: RunTexts;
  readonly memory: MemoryPlan;
  readonly settings: RunSettings;
  readonly on: MeasuredOn;
}

interface Decided {
  readonly decision: Decision;
  readonly dense: ModelMeasures;
  readonly recovery: Recovery | null;
  /** What was written, by paths from the folder. */
  readonly files: readonly string[];
  /** Block-tokens that the dense model took to say what candidates are judged by. */
  readonly predictions: number;
}

/**
 * Decides what stays, measures the dense model while it is in memory, repairs and writes: nothing of the dense model
 * outlives this function. Null after a dry run.
 */
async function decide(
  run: Deciding,
): Promise<Decided | null> {
  const { model, policy, backend, folder, options, reporter, texts, memory, settings } = run;
  const { flags, modelDigest } = settings;
  const order = await weightOrder(model);
  const { cacheBytes, expandedBytes } = memory;
  const decoder = new Decoder(backend, await LaidOutWeights.load(model, order, { expandedBytes }));
  const searching = backend.description.residentWeights
    ? new ResidentDecoder(backend, decoder.weights)
    : decoder;
  const scorers = {
    block: openScorer(searching, texts.block, flags, { cacheBytes, dense: decoder }),
    width: openScorer(searching, texts.width, flags, { cacheBytes, dense: decoder }),
  };
  const fromFile = () => decisionFromFile(options.plan!, model, modelDigest, order, options.ratio);
  if (options.dryRun) {
    const { fit, aside } = texts;
    const dry = policy && await rehearseRun({
      ...{ model, policy, picker: pickerOf(flags), scorers },
      // Little at a time, so that a large model says something soon.
      timed: scorerOnce(searching, texts.block, {
        batchTokens: Math.min(flags.batchTokens, TIMED_TOKENS),
      }),
      repairs: flags.recover !== "none" && aside
        ? { learn: tokenCount(fit), choose: tokenCount(aside) / 2 }
        : null,
      now: () => performance.now(),
      onProgress: (done, total) => {
        reporter.progress("timing the dense model", done, total);
        run.check();
      },
    });
    reporter.stop();
    const decision = policy ? null : await fromFile();
    reporter.result(
      { dryRun: dry ?? decision, flags },
      describeDryRun(
        model.spec,
        flags,
        dry,
        decision,
        policy,
        flags.export && exportPath(folder.path, flags.export),
      ),
    );
    return null;
  }
  checkHistory(model.spec, folder.history, folder.journalPath);
  let decision;
  let predictions = 0;
  if (policy) {
    await folder.begin(settings);
    const asked = [...new Set(policy.stages.map(({ samples }) => samples))];
    predictions = await prepare(run, decoder, asked.map((kind) => [texts[kind], scorers[kind]]));
    const onEvent = reporter.search.bind(reporter);
    const heldOut = flags.heldOut === null ? null : texts.heldOut;
    const onProgress = (done: number, total: number) => {
      reporter.progress("looking at activations", done, total);
      run.check();
    };
    const orderTexts = { text: texts.fit, aside: texts.aside };
    const arranger = arrangerOf(flags, decoder, searching, orderTexts, onProgress);
    const { weights } = decoder;
    const parts = {
      model,
      modelDigest,
      flags,
      policy,
      weights,
      arranger,
      scorers,
      heldOut,
      aside: texts.aside,
      store: folder,
    };
    decision = await search({ ...parts, decoder: searching, onEvent, check: run.check });
  } else {
    decision = await fromFile();
    const { plan, ratio } = options;
    const digest = await digestOfPlan(decision.plan);
    const applied = { source: plan!, ratio: ratio ?? null, digest };
    await folder.begin({ ...settings, plan: applied });
  }
  reporter.stop();
  if (searching !== decoder) await searching.dispose();
  const dense = await measureModel(decoder, run.on, onMeasured(run));
  reporter.stop();
  const repaired = flags.recover === "none" ? null : await recoverInRun(run, decision, decoder);
  const files = await writeResult(model, decision, order, folder, repaired?.refit);
  await decoder.dispose();
  return { decision, dense, recovery: repaired?.recovery ?? null, files, predictions };
}

/** Has the dense model say what candidates are judged by, and returns the block-tokens that took. */
async function prepare(
  { reporter, check }: Deciding,
  decoder: Decoder,
  scored: readonly (readonly [CalibrationSet, ReturnType<typeof openScorer>])[],
): Promise<number> {
  const before = decoder.blockTokens;
  const total = scored.reduce((sum, [{ sequences }]) => sum + sequences.length, 0);
  let earlier = 0;
  for (const [{ sequences }, scorer] of scored) {
    await scorer.prepare((done) => {
      reporter.progress("asking the dense model", earlier + done, total);
      check();
    });
    earlier += sequences.length;
  }
  return decoder.blockTokens - before;
}

async function recoverInRun(run: Deciding, decision: Decision, decoder: Decoder) {
  const { model, texts, settings, folder, reporter } = run;
  const found = await recover({
    model,
    decision,
    decoder,
    texts,
    batchTokens: settings.flags.batchTokens,
    againstDense: againstDense(settings.flags),
    recorded: folder.history.repairs,
    record: (line) => folder.append(line),
    onLine: (line, resumed) => reporter.repair(line, resumed),
    onProgress: (done, total) => {
      reporter.progress("repairing", done, total);
      run.check();
    },
  });
  reporter.stop();
  if (!found) reporter.say("not repaired: there is too little calibration text to keep some aside");
  return found;
}

function onMeasured({ reporter, check }: Run) {
  return (done: number, total: number) => {
    reporter.progress("measuring the result", done, total);
    check();
  };
}

function defaultName(path: string | undefined): string {
  const name = (path ?? "demo").split(/[\\/]/).filter((part) => part !== "").at(-1)!
    .replace(/\.(gguf|onnx)$/i, "");
  return `lopper-${name}-pruned`;
}
