import { FolderLock, hubModelName } from "@lopper/files";
import {
  exportOf,
  type GivenRunOptions,
  prune,
  rehearse,
  RUN_OPTIONS,
  type RunEvent,
  statedDefaults,
} from "@lopper/run";
import { Command } from "commander";
import { lockFolder } from "../shared/folder/own_folder.ts";
import { defaultRunPath, RunFolder } from "../shared/folder/run_folder.ts";
import { addOptions } from "../shared/inputs/commander_options.ts";
import {
  DEMO,
  isOnHub,
  type LocateModels,
  MODEL_HELP,
  modelLocator,
} from "../shared/inputs/locate_models.ts";
import { userPath } from "../shared/inputs/paths.ts";
import { type Interruption, UNINTERRUPTED } from "../shared/terminal/interrupt.ts";
import { openReporter } from "../shared/terminal/reporter.ts";
import { checkTogether, finishedRun, withPlanOf } from "./asked_of_run.ts";
import { conclude, type Finish } from "./conclude.ts";
import { PRUNE_EXAMPLES } from "./examples.ts";
import { openRun, type RunOfUser } from "./open_run.ts";
import { checkPlace, exportAsked, exportPath } from "./prune_export.ts";
import { describeDryRun, describeStart } from "./prune_output.ts";
import { EMBEDDED } from "./resolve_flags.ts";

export function pruneCommand(
  interruption: Interruption = UNINTERRUPTED,
  locate: LocateModels = modelLocator(),
): Command {
  const command = new Command("prune")
    .description("Remove what a model needs least, and write what stays as a smaller checkpoint.")
    .argument(
      "[MODEL]",
      `${MODEL_HELP}; without it, the embedded model`,
    );
  return addOptions(command, statedDefaults(RUN_OPTIONS, EMBEDDED))
    .addHelpText("after", PRUNE_EXAMPLES)
    .action((path: string | undefined, options: GivenRunOptions) =>
      run(path, options, { interruption, locate })
    );
}

/** Takes the folder of a run, before anything in it is read, and gives it back. */
async function run(
  path: string | undefined,
  options: GivenRunOptions,
  { interruption, locate }: { interruption: Interruption; locate: LocateModels },
) {
  const started = performance.now();
  using reporter = openReporter(options.json);
  checkTogether(options);
  const out = options.out ?? await defaultRunPath(userPath(defaultName(path)), options.resume);
  const user = { reporter, interruption, started, locate };
  if (options.dryRun) await FolderLock.check(out);
  await using _ = options.dryRun ? null : await lockFolder(out, (text) => reporter.warn(text));
  const finish = await runIn(out, path, options, user);
  if (finish) await conclude({ ...finish, out, options, ...user });
}

/** Runs what is left to do in a folder; null for a rehearsal. */
async function runIn(
  out: string,
  path: string | undefined,
  given: GivenRunOptions,
  user: RunOfUser,
): Promise<Finish | null> {
  await using folder = await RunFolder.open(out, given);
  const options = withPlanOf(folder, given);
  const finished = await finishedRun(folder, options);
  if (finished) {
    user.reporter.say(`${out} is finished already`);
    const exports = exportAsked(options, finished.flags);
    const source = finished.flags.model;
    const place = source !== null && !await isOnHub(source) ? source : undefined;
    await checkPlace(exports, out, options, place);
    return { record: finished, exports };
  }
  try {
    return await pruneInto(folder, path, options, user);
  } catch (error) {
    throw await folder.withWayOn(error);
  }
}

/** Opens what a run needs, prunes or rehearses, and draws what is told meanwhile. */
async function pruneInto(
  folder: RunFolder,
  path: string | undefined,
  options: GivenRunOptions,
  user: RunOfUser,
): Promise<Finish | null> {
  const { reporter } = user;
  await using opened = await openRun(folder, path, options, user);
  const { title, model, texts, task, tools } = opened;
  const exports = exportOf(task.flags);
  const draw = (event: RunEvent) =>
    event.type === "begin"
      ? reporter.say(describeStart(title, model, tools.backend, event.flags, texts))
      : reporter.event(event);
  if (!options.dryRun) {
    const { record } = await drawn(prune(model, texts, task, tools), draw);
    return { record, exports };
  }
  const found = await drawn(rehearse(model, texts, task, tools), draw);
  const place = exports && exportPath(folder.path, exports);
  reporter.result(
    { dryRun: found.dry ?? found.decision, flags: found.flags },
    describeDryRun(model.architecture, found, place),
  );
  return null;
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

function defaultName(path: string | undefined): string {
  const onHub = hubModelName(path ?? "");
  const model = onHub?.file ?? onHub?.repository ?? path ?? DEMO;
  const name = model.split(/[\\/]/).filter((part) => part !== "").at(-1)!
    .replace(/\.(gguf|onnx)$/i, "");
  return `lopper-${name}-pruned`;
}
