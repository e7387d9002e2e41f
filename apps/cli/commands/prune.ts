import type { Backend } from "@lopper/backends";
import { type RunFlags, type RunRecord, type RunSettings, UsageError, VERSION } from "@lopper/core";
import { weightOrder } from "@lopper/importance";
import { type Model, modelDigest, openTokenizer } from "@lopper/model-io";
import { Decoder, LaidOutWeights } from "@lopper/runtime";
import { Command } from "commander";
import { readTexts } from "../calibrate.ts";
import { decisionFromFile, openScorer, policyOf, search } from "../decide.ts";
import { measure, writeResult } from "../finish.ts";
import { interruptible } from "../interrupt.ts";
import { openUserBackend } from "../open_backend.ts";
import { openUserModel } from "../open_model.ts";
import { userPath } from "../paths.ts";
import { addPruneOptions, type PruneOptions, resolveFlags } from "../prune_options.ts";
import { describeDryRun, describeResult, describeStart, rehearseRun } from "../prune_output.ts";
import { openReporter, type Reporter } from "../reporter.ts";
import { defaultRunPath, RunFolder } from "../run_folder.ts";

export function pruneCommand(): Command {
  const command = new Command("prune")
    .description("Remove what a model needs least, and write what stays as a smaller checkpoint.")
    .argument("[MODEL]", "folder in Hugging Face layout; without it, the embedded model");
  return addPruneOptions(command).action(openRun);
}

/** Opens what a run needs, and closes it again. */
async function openRun(path: string | undefined, options: PruneOptions) {
  const reporter = openReporter(options.json);
  const started = performance.now();
  const out = options.out === undefined
    ? await defaultRunPath(userPath(defaultName(path)), options.resume)
    : userPath(options.out);
  if (options.plan !== undefined && options.resume) {
    throw new UsageError("--plan is applied in one go; instead of --resume, pass --overwrite");
  }
  const folder = await RunFolder.open(out, options.dryRun ? { overwrite: true } : options);
  const finished = options.resume ? await folder.record() : null;
  if (finished && folder.settings && options.ratio! < finished.flags.ratio) {
    throw new UsageError(
      `${out} holds a run that reached ${finished.flags.ratio} %; --ratio ${options.ratio} needs a run of its own`,
    );
  }
  const extends_ = finished && folder.settings && options.ratio! > finished.flags.ratio;
  if (finished && !extends_) {
    reporter.say(`${out} is finished already`);
    reporter.result({ out, ...finished }, describeResult(finished, out, null));
    return;
  }
  const saved = folder.settings ?? undefined;
  const source = path ?? saved?.flags.model ?? null;
  const { model, title } = await openUserModel(source);
  try {
    if (await sameFolder(model.folder.name, out)) {
      throw new UsageError(`--out ${out} is the model's own folder; the result needs another one`);
    }
    const flags = resolveFlags(options, source, model.spec, saved?.flags);
    const engine = options.backend === "auto" ? saved?.backend ?? "auto" : options.backend;
    const backend = await openUserBackend(engine, options.threads, (m) => reporter.say(m));
    try {
      const hint = options.plan === undefined && !options.dryRun
        ? `stopped; nothing is lost, continue with: deno task prune --resume --out ${out}`
        : "stopped";
      await interruptible(
        hint,
        (check) =>
          prune({ model, title, flags, backend, folder, options, reporter, started, check }),
      );
    } finally {
      await backend.dispose();
    }
  } finally {
    reporter.stop();
    model.close();
    folder.close();
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
}

/** Describe, calibrate, decide, write, measure, report. */
async function prune(run: Run) {
  const { model, flags, backend, folder, options, reporter } = run;
  const policy = options.plan === undefined ? policyOf(model, flags) : null;
  const tokenizer = await openTokenizer(model.folder);
  const texts = await readTexts(flags, model.spec, tokenizer);
  reporter.say(describeStart(run.title, model, backend, flags, texts));
  const digest = await modelDigest(
    model,
    (done, total) => reporter.progress("reading the model", done, total),
  );
  reporter.stop();
  const order = await weightOrder(model);
  const decoder = new Decoder(backend, await LaidOutWeights.load(model, order));
  const cacheBytes = Deno.systemMemoryInfo().available / 4;
  const scorers = {
    block: openScorer(decoder, texts.block, flags, cacheBytes),
    width: openScorer(decoder, texts.width, flags, cacheBytes),
  };
  if (options.dryRun) {
    const dry = policy && await rehearseRun(model, policy, scorers, () => performance.now());
    const decision = policy ? null : await decisionFromFile(options.plan!, model, digest, order);
    reporter.result(
      { dryRun: dry ?? decision, flags },
      describeDryRun(model.spec, flags, dry, decision, policy),
    );
    return;
  }

  const calibrationDigest = { block: texts.block.digest, width: texts.width.digest };
  const settings: RunSettings = {
    kind: "lopper-run-settings",
    schema: 1,
    version: VERSION,
    modelDigest: digest,
    calibrationDigest,
    backend: backend.description.name,
    flags,
  };
  let decision;
  if (policy) {
    await folder.begin(settings);
    const onEvent = reporter.search.bind(reporter);
    const parts = { model, modelDigest: digest, flags, policy, order, decoder, scorers, folder };
    decision = await search({ ...parts, onEvent, check: run.check });
  } else {
    decision = await decisionFromFile(options.plan!, model, digest, order);
    await folder.beginWithoutSearch();
  }
  reporter.stop();
  await folder.retireResult();
  await writeResult(model, decision, folder);
  const { sample, ...measured } = await measure(
    backend,
    { model, decoder },
    folder,
    texts,
    tokenizer,
    (done, total) => {
      reporter.progress("measuring the result", done, total);
      run.check();
    },
  );
  reporter.stop();

  const { name, engine, threads } = backend.description;
  const earlier = folder.history.steps.reduce((sum, { seconds }) => sum + seconds, 0);
  const record: RunRecord = {
    kind: "lopper-run",
    schema: 1,
    version: VERSION,
    modelDigest: digest,
    calibrationDigest,
    heldOutDigest: texts.heldOut.digest,
    flags,
    plan: options.plan ?? null,
    backend: { name, engine, threads },
    ratio: decision.ratio,
    ...measured,
    blockTokens: {
      spent: decision.steps.reduce((sum, { blockTokens }) => sum + blockTokens.spent, 0),
      full: decision.steps.reduce((sum, { blockTokens }) => sum + blockTokens.full, 0),
    },
    wallSeconds: earlier + (performance.now() - run.started) / 1000,
    steps: decision.steps.length,
  };
  await folder.writeRecord(record);
  reporter.result(
    { out: folder.path, ...record, sample },
    describeResult(record, folder.path, sample),
  );
}

function defaultName(path: string | undefined): string {
  const name = (path ?? "demo").split(/[\\/]/).filter((part) => part !== "").at(-1);
  return `lopper-${name}-pruned`;
}

async function sameFolder(a: string, b: string): Promise<boolean> {
  const real = (path: string) => Deno.realPath(path).catch(() => path);
  return await real(a) === await real(b);
}
