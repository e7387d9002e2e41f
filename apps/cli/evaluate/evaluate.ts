import { VERSION } from "@lopper/core";
import { EVALUATE_OPTIONS, type EvaluationFlags } from "@lopper/evaluation";
import { Command } from "commander";
import { addOptions } from "../inputs/commander_options.ts";
import { evaluateModel } from "../measuring/evaluate_model.ts";
import { OWN_TASKS_HELP, readUserMeasures } from "../measuring/evaluation_options.ts";
import { describeEvaluation } from "../measuring/evaluation_output.ts";
import { type Interruption, UNINTERRUPTED } from "../terminal/interrupt.ts";
import type { ModelEvaluation } from "../measuring/model_evaluation.ts";
import { checkModels, withOpenModel } from "../measuring/open_measured.ts";
import { openReporter } from "../terminal/reporter.ts";
import { ScoresFolder } from "../measuring/scores_folder.ts";
import { SAME_COMMAND, withWayOn } from "../terminal/way_on.ts";

export function evaluateCommand(interruption: Interruption = UNINTERRUPTED): Command {
  const command = new Command("evaluate")
    .description(
      "Measure models: perplexity of texts, and zero-shot tasks as lm-evaluation-harness scores them.",
    )
    .argument(
      "<MODEL...>",
      'folders in Hugging Face layout, GGUF or ONNX files, or "demo" for the embedded model',
    );
  return addOptions(command, EVALUATE_OPTIONS)
    .addHelpText(
      "after",
      "\nExamples:\n  lopper evaluate demo --perplexity packages/demo-model/data/held_out.txt\n" +
        "  lopper evaluate ./smollm2 ./smol-20 --tasks paper --data ./datasets --limit 200 --out ./scores\n" +
        "  lopper evaluate model.gguf --tasks my_questions.jsonl\n" + OWN_TASKS_HELP,
    )
    .action((paths: readonly string[], options: EvaluationFlags) =>
      run(paths, options, interruption)
    );
}

async function run(
  paths: readonly string[],
  options: EvaluationFlags,
  interruption: Interruption,
) {
  const reporter = openReporter(options.json);
  const measures = await readUserMeasures(options, reporter, interruption);
  await checkModels(paths, reporter);
  const scores = await ScoresFolder.open(
    options.out,
    { file: "evaluation.json", kind: "lopper-evaluation" },
    (message) => reporter.warn(message),
  );
  const { log } = scores;
  try {
    const hint = options.out === undefined
      ? "stopped; nothing is kept without --out"
      : "stopped; what was scored is kept, the same command goes on";
    const models: ModelEvaluation[] = [];
    const check = () => interruption(hint);
    for (const path of paths) {
      const run = { path, log, options, reporter, check };
      const { evaluation } = await withOpenModel(run, (open) => evaluateModel(open, measures, run));
      models.push(evaluation);
    }
    const record = { kind: "lopper-evaluation", schema: 1, version: VERSION, models } as const;
    await scores.writeResult(record);
    reporter.result({ ...record }, describeEvaluation(models));
  } catch (error) {
    throw withWayOn(error, SAME_COMMAND);
  } finally {
    reporter.stop();
    await scores.close();
  }
}
