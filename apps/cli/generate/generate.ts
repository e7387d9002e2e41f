import { ENGINE_OPTIONS } from "@lopper/backends";
import { type Architecture, type StopSignal, UsageError } from "@lopper/core";
import {
  decimal,
  HUB,
  MAX_SEED,
  type OptionTable,
  type OptionValues,
  wholeNumber,
} from "@lopper/options";
import { Decoder, generate, LaidOutWeights } from "@lopper/runtime";
import { openTokenizer, type Tokenizer } from "@lopper/tokenizers";
import { Command } from "commander";
import { addOptions } from "../shared/inputs/commander_options.ts";
import { openUserBackend } from "../shared/inputs/open_backend.ts";
import { type Interruption, UNINTERRUPTED } from "../shared/terminal/interrupt.ts";
import { type LocateModels, MODEL_HELP, modelLocator } from "../shared/inputs/locate_models.ts";
import { openLocated } from "../shared/inputs/open_model.ts";
import { openReporter } from "../shared/terminal/reporter.ts";
import { printPiece, tell } from "../shared/terminal/terminal.ts";

const GENERATE_OPTIONS = {
  maxTokens: { form: wholeNumber(1), help: "tokens to generate at most", without: 64 },
  temperature: {
    form: decimal("t", 0, { orEqual: true }),
    help: "0 = always the most likely token",
    without: 0.7,
  },
  seed: { form: wholeNumber(0, MAX_SEED), help: "seed of the sampling", without: 42 },
  ...ENGINE_OPTIONS,
  ...HUB,
} as const satisfies OptionTable;
type Options = OptionValues<typeof GENERATE_OPTIONS>;

export function generateCommand(
  interruption: Interruption = UNINTERRUPTED,
  locate: LocateModels = modelLocator(),
): Command {
  const command = new Command("generate")
    .description("Continue a text with a model, dense or pruned.")
    .argument(
      "MODEL",
      `${MODEL_HELP}, or "demo" for the embedded model`,
    )
    .argument("PROMPT", "the text to continue");
  return addOptions(command, GENERATE_OPTIONS)
    .addHelpText(
      "after",
      '\nExamples:\n  lopper generate demo "It was a dark and stormy night"\n' +
        '  lopper generate ./pruned "Once upon a time" --temperature 0 --max-tokens 20\n' +
        '  lopper generate model.gguf "Once upon a time"\n' +
        '  lopper generate HuggingFaceTB/SmolLM2-135M "Once upon a time"\n',
    )
    .action((path: string, prompt: string, options: Options) =>
      run(path, prompt, options, { interruption, locate })
    );
}

async function run(
  path: string,
  prompt: string,
  options: Options,
  { interruption, locate }: { interruption: Interruption; locate: LocateModels },
) {
  using reporter = openReporter();
  const [located] = await locate([path], { offline: options.offline, reporter, interruption });
  await using backend = await openUserBackend(options.backend, options, tell);
  using model = await openLocated(located, (note) => reporter.note(note));
  using tokenizer = await openTokenizer(model.folder);
  const ids = await tokenizer.encode(prompt);
  checkPrompt(ids, model.architecture);
  const weights = await LaidOutWeights.load(model);
  await printPiece(prompt);
  const decoder = new Decoder(backend, weights);
  const tokens = generate(decoder, ids, options);
  const produced = await writeOn(tokens, tokenizer, ids, interruption.saying("stopped"));
  await printPiece("\n");
  const longest = model.architecture.maxPositions;
  if (produced < options.maxTokens && ids.length + produced === longest) {
    tell(
      `note: it ends after ${produced} of ${options.maxTokens} tokens, since the model takes ${longest}, and the prompt has ${ids.length}`,
    );
  }
}

/** @throws {UsageError} when there is nothing to go on from, or more than the model takes. */
function checkPrompt(ids: readonly number[], architecture: Architecture) {
  if (ids.length === 0) throw new UsageError("the prompt is empty; give at least one word");
  const longest = architecture.maxPositions;
  if (ids.length > longest) {
    throw new UsageError(
      `the prompt has ${ids.length} tokens, and the model takes ${longest}, what it adds included; give a shorter one`,
    );
  }
}

/** Prints what the model adds to a prompt, as it comes, and returns how many tokens that were. */
async function writeOn(
  tokens: AsyncIterable<number>,
  tokenizer: Tokenizer,
  ids: readonly number[],
  signal: StopSignal,
): Promise<number> {
  const given = await tokenizer.decode(ids);
  const produced: number[] = [];
  let [text, shown] = ["", ""];
  for await (const id of tokens) {
    signal.throwIfAborted();
    produced.push(id);
    // A character may span tokens: what ends in an incomplete one waits for the next.
    text = (await tokenizer.decode([...ids, ...produced])).slice(given.length);
    if (text.endsWith("\uFFFD")) continue;
    await printPiece(text.slice(shown.length));
    shown = text;
  }
  await printPiece(text.slice(shown.length));
  return produced.length;
}
