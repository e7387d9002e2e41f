import { UsageError } from "@lopper/core";
import { openTokenizer } from "@lopper/model-io";
import { Decoder, generate, LaidOutWeights, sourceOrder } from "@lopper/runtime";
import { Command } from "commander";
import { BACKEND_HELP, openUserBackend } from "../open_backend.ts";
import { openUserModel } from "../open_model.ts";
import { decimal, wholeNumber } from "../options.ts";

interface Options {
  maxTokens: number;
  temperature: number;
  seed: number;
  backend: string;
  threads?: number;
}

export function generateCommand(): Command {
  return new Command("generate")
    .description("Continue a text with a model, dense or pruned.")
    .argument(
      "MODEL",
      'folder in Hugging Face layout, GGUF or ONNX file, or "demo" for the embedded model',
    )
    .argument("PROMPT", "the text to continue")
    .option("--max-tokens <n>", "tokens to generate at most", wholeNumber(1), 64)
    .option(
      "--temperature <t>",
      "0 = always the most likely token",
      decimal(0, Infinity, { orEqual: true }),
      0.7,
    )
    .option("--seed <n>", "seed of the sampling", wholeNumber(0), 42)
    .option("--backend <name>", BACKEND_HELP, "auto")
    .option("--threads <n>", "threads (default: all on cpu, 1 on wasm)", wholeNumber(1))
    .addHelpText(
      "after",
      '\nExamples:\n  lopper generate demo "It was a dark and stormy night"\n' +
        '  lopper generate ./pruned "Once upon a time" --temperature 0 --max-tokens 20\n' +
        '  lopper generate model.gguf "Once upon a time"\n',
    )
    .action(async (path: string, prompt: string, options: Options) => {
      const backend = await openUserBackend(options.backend, options.threads, console.error);
      const { model } = await openUserModel(path, (note) => console.error(`note: ${note}`));
      try {
        using tokenizer = await openTokenizer(model.folder);
        const ids = await tokenizer.encode(prompt);
        if (ids.length === 0) throw new UsageError("the prompt is empty; give at least one word");
        const given = await tokenizer.decode(ids);
        const weights = await LaidOutWeights.load(model, sourceOrder(model.spec));
        const decoder = new Decoder(backend, weights);
        await write(prompt);
        const produced: number[] = [];
        let shown = "";
        for await (const id of generate(decoder, ids, options)) {
          produced.push(id);
          // A character may span tokens: what ends in an incomplete one waits for the next.
          const all = await tokenizer.decode([...ids, ...produced]);
          const text = all.slice(given.length);
          if (text.endsWith("\uFFFD")) continue;
          await write(text.slice(shown.length));
          shown = text;
        }
        await write("\n");
      } finally {
        model.close();
        await backend.dispose();
      }
    });
}

async function write(text: string) {
  const bytes = new TextEncoder().encode(text);
  for (let n = 0; n < bytes.length;) n += await Deno.stdout.write(bytes.subarray(n));
}
