import { modelMacs, UsageError, VERSION } from "@lopper/core";
import { HELD_OUT_TEXT } from "@lopper/demo-model";
import {
  COMPARE_OPTIONS,
  evaluateModel,
  type MeasureFlags,
  type Measures,
} from "@lopper/evaluation";
import type { Model } from "@lopper/models";
import type { OptionValues } from "@lopper/options";
import { Command } from "commander";
import { fileURLToPath } from "node:url";
import { describeComparison } from "./compare_output.ts";
import {
  againstFirst,
  type ComparedModel,
  type Comparison,
  type ModelFindings,
} from "./comparison.ts";
import { COMPARISON } from "../shared/measuring/comparison_file.ts";
import { addOptions } from "../shared/inputs/commander_options.ts";
import { OWN_TASKS_HELP, readUserMeasures } from "../shared/measuring/evaluation_options.ts";
import { logitsMemory, passageLogits } from "./held_out_logits.ts";
import { type Interruption, UNINTERRUPTED } from "../shared/terminal/interrupt.ts";
import { type ModelSpeed, modelSpeed } from "./model_speed.ts";
import { checkModels, openMeasured } from "../shared/measuring/open_measured.ts";
import {
  type LocatedModel,
  type LocateModels,
  modelLocator,
  MODELS_HELP,
} from "../shared/inputs/locate_models.ts";
import { openLocated, TOLD } from "../shared/inputs/open_model.ts";
import { openReporter, type Reporter } from "../shared/terminal/reporter.ts";
import { ScoresFolder } from "../shared/measuring/scores_folder.ts";
import { SAME_COMMAND, withWayOn } from "../shared/terminal/way_on.ts";
import { readWholeText } from "../shared/inputs/text_files.ts";

/**
 * Tokens of the prompt whose speed is measured, if the models take so many, and tokens after it.
 */
const PROMPT_TOKENS = 512;
const DECODE_TOKENS = 32;

type Options = OptionValues<typeof COMPARE_OPTIONS>;

export function compareCommand(
  interruption: Interruption = UNINTERRUPTED,
  locate: LocateModels = modelLocator(),
): Command {
  const command = new Command("compare")
    .description(
      "Put models side by side: size, speed and memory on this machine, perplexity, tasks, and how far each predicts " +
        "from the first, the dense one.",
    )
    .argument(
      "<MODEL...>",
      `two or more: ${MODELS_HELP}, or "demo" for the embedded model; the first is what the others are compared with`,
    );
  return addOptions(command, COMPARE_OPTIONS)
    .addHelpText(
      "after",
      "\nExamples:\n  lopper compare demo lopper-demo-pruned\n" +
        "  lopper compare ./smollm2 ./smol-10 ./smol-20 --tasks paper --data ./datasets --limit 200 --out ./scores\n" +
        "  lopper compare HuggingFaceTB/SmolLM2-135M ./smol-20\n" +
        "  lopper compare model.gguf ./pruned --perplexity my_text.txt --no-speed --json\n" +
        OWN_TASKS_HELP,
    )
    .action((paths: readonly string[], options: Options) =>
      run(paths, options, { interruption, locate })
    );
}

async function run(
  paths: readonly string[],
  options: Options,
  { interruption, locate }: { interruption: Interruption; locate: LocateModels },
) {
  if (paths.length < 2) {
    throw new UsageError(
      "compare needs two models at least; the first is what others are compared with",
    );
  }
  using reporter = openReporter(options.json);
  const measures = await readComparedMeasures(options, reporter, interruption);
  const all = await locate(paths, { offline: options.offline, reporter, interruption });
  await checkModels(all, reporter);
  await using scores = await ScoresFolder.open(
    options.out,
    { file: COMPARISON, kind: "lopper-comparison" },
    (message) => reporter.warn(message),
  );
  try {
    const run = { options, measures, scores, reporter, interruption };
    const comparison = await compare(all, run);
    await scores.writeResult(comparison);
    reporter.result({ ...comparison }, describeComparison(comparison));
  } catch (error) {
    throw withWayOn(error, SAME_COMMAND);
  }
}

/** What the user asked for; a text is there always, since predictions are compared on one. */
async function readComparedMeasures(
  options: MeasureFlags,
  reporter: Reporter,
  interruption: Interruption,
): Promise<Measures> {
  const nothing = options.tasks.trim() === "" && options.perplexity.length === 0;
  const asked = nothing
    ? { texts: [], tasks: [] }
    : await readUserMeasures(options, reporter, interruption);
  if (asked.texts.length > 0) return asked;
  const text = await readWholeText(fileURLToPath(HELD_OUT_TEXT), (line) => reporter.note(line));
  return { ...asked, texts: [{ name: "Moby Dick", text }] };
}

interface Run {
  readonly options: Options;
  readonly measures: Measures;
  readonly scores: ScoresFolder;
  readonly reporter: Reporter;
  readonly interruption: Interruption;
}

async function compare(all: readonly LocatedModel[], run: Run): Promise<Comparison> {
  const { options, measures, scores, reporter, interruption } = run;
  const promptTokens = await promptLength(all);
  // Before anything else is in memory or keeps the machine busy.
  const speeds = options.speed ? await measureSpeeds(all, promptTokens, run) : null;
  const signal = interruption.saying(scores.hint);
  const models: ComparedModel[] = [];
  let first: ModelFindings | null = null;
  for (const [i, located] of all.entries()) {
    const beside = (model: Model) => [logitsMemory(model)];
    await using open = await openMeasured({
      ...{ located, options, reporter, signal, beside },
      log: scores.log,
    });
    const measuring = { bos: options.bos, signal, teller: reporter };
    const found: ModelFindings = {
      measured: await evaluateModel(open, measures, measuring),
      predictions: await passageLogits(open, measures.texts[0], measuring),
    };
    const size = {
      bytes: open.model.weightBytes,
      macsPerToken: modelMacs(open.model.architecture, promptTokens),
    };
    models.push({
      ...found.measured.evaluation,
      ...size,
      speed: speeds?.[i] ?? null,
      againstFirst: first && againstFirst(first, found),
    });
    first ??= found;
  }
  return {
    kind: "lopper-comparison",
    schema: 1,
    version: VERSION,
    promptTokens,
    decodeTokens: DECODE_TOKENS,
    models: withOwnNames(models, all),
  };
}

/** Tokens of a prompt that all models take, with those that follow it. */
async function promptLength(all: readonly LocatedModel[]): Promise<number> {
  let length = PROMPT_TOKENS;
  for (const located of all) {
    using model = await openLocated(located, TOLD);
    length = Math.min(length, model.architecture.maxPositions - DECODE_TOKENS);
  }
  return Math.max(1, length);
}

async function measureSpeeds(
  all: readonly LocatedModel[],
  promptTokens: number,
  { options, reporter, interruption }: Run,
): Promise<readonly ModelSpeed[]> {
  const speeds: ModelSpeed[] = [];
  for (const located of all) {
    const { backend, threads, memory } = options;
    const settings = { promptTokens, decodeTokens: DECODE_TOKENS, backend, threads, memory };
    const onProgress = (done: number, total: number) =>
      reporter.progress(`${located.named}, speed`, done, total);
    const { signal } = interruption;
    try {
      speeds.push(await modelSpeed(located, { ...settings, onProgress, signal }));
    } finally {
      reporter.stop();
      // A process that was stopped did not fail.
      interruption.saying("stopped; nothing was measured yet").throwIfAborted();
    }
  }
  return speeds;
}

/** Models of the same title are told apart by the paths that the user gave. */
function withOwnNames(
  models: readonly ComparedModel[],
  all: readonly LocatedModel[],
): readonly ComparedModel[] {
  const titles = new Set(models.map(({ model }) => model));
  return titles.size === models.length
    ? models
    : models.map((model, i) => ({ ...model, model: all[i].named }));
}
