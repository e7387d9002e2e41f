import { VERSION } from "@lopper/core";
import {
  EVALUATE_OPTIONS,
  evaluateModel,
  type EvaluationFlags,
  type ModelEvaluation,
} from "@lopper/evaluation";
import { Command } from "commander";
import { type LocateModels, modelLocator, MODELS_HELP } from "../shared/inputs/locate_models.ts";
import { addOptions } from "../shared/inputs/commander_options.ts";
import { OWN_TASKS_HELP, readUserMeasures } from "../shared/measuring/evaluation_options.ts";
import { describeEvaluation } from "../shared/measuring/evaluation_output.ts";
import { type Interruption, UNINTERRUPTED } from "../shared/terminal/interrupt.ts";
import { checkModels, openMeasured } from "../shared/measuring/open_measured.ts";
import { openReporter } from "../shared/terminal/reporter.ts";
import { ScoresFolder } from "../shared/measuring/scores_folder.ts";
import { SAME_COMMAND, withWayOn } from "../shared/terminal/way_on.ts";

export function evaluateCommand(
  interruption: Interruption = UNINTERRUPTED,
  locate: LocateModels = modelLocator(),
): Command {
  const command = new Command("evaluate")
    .description(
      "Measure models: perplexity of texts, and zero-shot tasks as lm-evaluation-harness scores them.",
    )
    .argument(
      "<MODEL...>",
      `${MODELS_HELP}, or "demo" for the embedded model`,
    );
  return addOptions(command, EVALUATE_OPTIONS)
    .addHelpText(
      "after",
      "\nExamples:\n  lopper evaluate demo --perplexity packages/demo-model/data/held_out.txt\n" +
        "  lopper evaluate ./smollm2 ./smol-20 --tasks paper --data ./datasets --limit 200 --out ./scores\n" +
        "  lopper evaluate model.gguf --tasks my_questions.jsonl\n" +
        "  lopper evaluate HuggingFaceTB/SmolLM2-135M ./smol-20 --tasks wikitext2\n" +
        OWN_TASKS_HELP,
    )
    .action((paths: readonly string[], options: EvaluationFlags) =>
      run(paths, options, { interruption, locate })
    );
}

async function run(
  paths: readonly string[],
  options: EvaluationFlags,
  { interruption, locate }: { interruption: Interruption; locate: LocateModels },
) {
  using reporter = openReporter(options.json);
  const measures = await readUserMeasures(options, reporter, interruption);
  const all = await locate(paths, { offline: options.offline, reporter, interruption });
  await checkModels(all, reporter);
  await using scores = await ScoresFolder.open(
    options.out,
    { file: "evaluation.json", kind: "lopper-evaluation" },
    (message) => reporter.warn(message),
  );
  const signal = interruption.saying(scores.hint);
  try {
    const models: ModelEvaluation[] = [];
    for (const located of all) {
      await using open = await openMeasured({
        ...{ located, options, reporter, signal },
        log: scores.log,
      });
      const measuring = { bos: options.bos, signal, teller: reporter };
      const { evaluation } = await evaluateModel(open, measures, measuring);
      models.push(evaluation);
    }
    const record = { kind: "lopper-evaluation", schema: 1, version: VERSION, models } as const;
    await scores.writeResult(record);
    reporter.result({ ...record }, describeEvaluation(models));
  } catch (error) {
    throw withWayOn(error, SAME_COMMAND);
  }
}
