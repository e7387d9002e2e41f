import { ENGINE_OPTIONS } from "@lopper/backends";
import { UsageError } from "@lopper/core";
import { MEMORY, type OptionTable, type OptionValues, wholeNumber } from "@lopper/options";
import { weightRoom } from "@lopper/run";
import { Decoder, LaidOutWeights, measureSpeed } from "@lopper/runtime";
import { Command } from "commander";
import { type Interruption, UNINTERRUPTED } from "../shared/terminal/interrupt.ts";
import { addOptions } from "../shared/inputs/commander_options.ts";
import { budgetNow } from "../shared/inputs/memory_budget.ts";
import { openUserBackend } from "../shared/inputs/open_backend.ts";
import { modelLocator } from "../shared/inputs/locate_models.ts";
import { openLocated, TOLD } from "../shared/inputs/open_model.ts";
import { peakResidentBytes } from "./peak_memory.ts";
import { openReporter } from "../shared/terminal/reporter.ts";

const SPEED_OPTIONS = {
  prompt: { form: wholeNumber(1), help: "tokens of the prompt", isNeeded: true },
  decode: { form: wholeNumber(1), help: "tokens after it", isNeeded: true },
  repeats: { form: wholeNumber(1), help: "times", isNeeded: true },
  ...ENGINE_OPTIONS,
  ...MEMORY,
} as const satisfies OptionTable;
type Options = OptionValues<typeof SPEED_OPTIONS>;

/**
 * What `compare` runs in a process of its own, so that nothing but the model is in its memory. It
 * prints lines of JSON and is in no list of commands.
 */
export function measureSpeedCommand(interruption: Interruption = UNINTERRUPTED): Command {
  const command = new Command("measure-speed").argument("MODEL");
  return addOptions(command, SPEED_OPTIONS)
    .action((path: string, options: Options) => run(path, options, interruption));
}

async function run(path: string, options: Options, interruption: Interruption) {
  const { prompt, decode, repeats } = options;
  const reporter = openReporter(true);
  const signal = interruption.saying("stopped");
  const [located] = await modelLocator()([path], { offline: true, reporter, interruption });
  const model = await openLocated(located, TOLD);
  const { architecture } = model;
  const longest = architecture.maxPositions;
  if (prompt + decode > longest) {
    throw new UsageError(
      `${prompt} and ${decode} tokens are asked for; the model takes ${longest}`,
    );
  }
  const backend = await openUserBackend(options.backend, options, () => {});
  const budget = budgetNow(options.memory);
  const size = { tokens: prompt + decode, length: prompt + decode };
  const room = weightRoom(model, backend.description, size, budget);
  const weights = await LaidOutWeights.load(model, room);
  const decoder = new Decoder(backend, weights);
  const ids = Array.from({ length: prompt }, (_, i) => i % architecture.vocabSize);
  const speed = await measureSpeed(decoder, ids, {
    decodeTokens: decode,
    repeats,
    onProgress: (done, total) => {
      reporter.progress("speed", done, total);
      signal.throwIfAborted();
    },
  });
  reporter.result({ ...speed, peakResidentBytes: peakResidentBytes() }, "");
}
