import { ENGINE_OPTIONS } from "@lopper/backends";
import { HUB, MEMORY, type OptionValues, OUTPUT, text } from "@lopper/options";
import { Command } from "commander";
import { randomUUID } from "node:crypto";
import { EngineThread } from "../shared/engine/engine_thread.ts";
import { addOptions } from "../shared/inputs/commander_options.ts";
import { type LocateModels, MODEL_HELP, modelLocator } from "../shared/inputs/locate_models.ts";
import { redisAddress } from "../shared/redis/address.ts";
import { type Interruption, UNINTERRUPTED } from "../shared/terminal/interrupt.ts";
import { openReporter } from "../shared/terminal/reporter.ts";

const WORKER_OPTIONS = {
  model: { form: text("model"), help: `${MODEL_HELP}; without it, the embedded model` },
  ...ENGINE_OPTIONS,
  ...MEMORY,
  ...HUB,
  ...OUTPUT,
} as const;

const EXAMPLES = `
Examples:
  lopper worker redis://queue.local --model ./llama
  lopper worker rediss://default:$PASSWORD@queue.local:6380 --model org/model --memory 24GB
  lopper prune ./llama --workers redis://queue.local

docs/workers.md has compose, Slurm and Kubernetes.`;

export function workerCommand(
  interruption: Interruption = UNINTERRUPTED,
  locate: LocateModels = modelLocator(),
): Command {
  const command = new Command("worker")
    .description("Score candidates for runs on other machines, which leave work in Redis.")
    .argument("<REDIS>", "redis://[user:password@]host[:port][/db], or rediss:// for TLS");
  return addOptions(command, WORKER_OPTIONS)
    .addHelpText("after", EXAMPLES)
    .action((redis: string, options: OptionValues<typeof WORKER_OPTIONS>) =>
      run(redis, options, { interruption, locate })
    );
}

async function run(
  redis: string,
  options: OptionValues<typeof WORKER_OPTIONS>,
  { interruption, locate }: { interruption: Interruption; locate: LocateModels },
): Promise<void> {
  using reporter = openReporter(options.json);
  const address = redisAddress(redis);
  const { serve } = await import("../shared/redis/serve.ts");
  const { backend, threads, memory, offline } = options;
  const [{ path, title }] = await locate([options.model ?? null], {
    ...{ offline, reporter, interruption },
  });
  let modelDigest: string | null = null;
  const { throwIfAborted } = interruption.saying("stopped; others take over what was begun here");
  reporter.note(`waiting for work from ${address.label}`);
  await serve({
    ...{ address, id: randomUUID(), check: throwIfAborted },
    async open(setup) {
      const engine = { path, title, backend, threads, memory, modelDigest, share: 1 };
      const opened = await EngineThread.open(engine, setup);
      modelDigest = opened.modelDigest;
      return opened.engine;
    },
    tell: (message) => reporter.note(message),
  });
}
