import { CARD_FILE } from "@lopper/card";
import { formatBytes, plural, RunFolderError, UsageError } from "@lopper/core";
import { type Hub, hubModelName, isFolder, type Pushed, pushModel } from "@lopper/files";
import { on, type OptionTable, type OptionValues, OUTPUT, text } from "@lopper/options";
import { Command } from "commander";
import { join } from "node:path";
import { lockFolder } from "../shared/folder/own_folder.ts";
import { addOptions } from "../shared/inputs/commander_options.ts";
import { userHub } from "../shared/inputs/hub.ts";
import { userPath } from "../shared/inputs/paths.ts";
import { table } from "../shared/terminal/format.ts";
import { type Interruption, UNINTERRUPTED } from "../shared/terminal/interrupt.ts";
import { openReporter, type Reporter } from "../shared/terminal/reporter.ts";
import { type ResultFile, resultIn } from "./result_folder.ts";

const PUSH_OPTIONS = {
  dryRun: { form: on, help: "say what would be sent, and send nothing" },
  branch: { form: text("name"), help: "branch of the commit, made if need be", without: "main" },
  message: {
    form: text("text"),
    help: "what the commit says",
    stated: "what was done to which model",
  },
  private: { form: on, help: "make a new repository private" },
  records: {
    form: on,
    help:
      "send what Lopper knows of the run, too (run.json, journal, report): paths of this machine are in it",
  },
  ...OUTPUT,
} as const satisfies OptionTable;
type Options = OptionValues<typeof PUSH_OPTIONS>;

/** Paths that are named of files which stay. */
const NAMED = 5;

export function pushCommand(interruption: Interruption = UNINTERRUPTED): Command {
  const command = new Command("push")
    .description("Put a result into a repository of the hub, in one commit.")
    .argument("DIR", "folder of a finished run, or of an export")
    .argument("REPOSITORY", "owner/name; it is made where there is none");
  return addOptions(command, PUSH_OPTIONS)
    .addHelpText(
      "after",
      "\nExamples:\n  lopper push ./smol-20 me/SmolLM2-135M-20 --dry-run\n" +
        "  lopper push ./smol-20 me/SmolLM2-135M-20 --private\n" +
        "  lopper push ./smol-20-gguf me/SmolLM2-135M-20-GGUF --message 'q8_0'\n" +
        "\nHF_TOKEN holds a token that may write (https://huggingface.co/settings/tokens).\n",
    )
    .action((folder: string, repository: string, options: Options) =>
      run(userPath(folder), repository, options, interruption)
    );
}

async function run(
  folder: string,
  repository: string,
  options: Options,
  interruption: Interruption,
) {
  const name = checkedName(repository);
  using reporter = openReporter(options.json);
  const signal = interruption.saying("stopped; nothing of it is on the branch");
  if (!await isFolder(folder)) throw new RunFolderError(`${folder}: there is no such folder`);
  // Nobody replaces the result meanwhile.
  await using _ = await lockFolder(folder, (text) => reporter.warn(text));
  const { files, message } = await resultIn(folder, {
    withRecords: options.records ?? false,
    onProgress(done, total) {
      reporter.progress("reading the weights", done, total);
      signal.throwIfAborted();
    },
  });
  reporter.stop();
  if (!files.some(({ path }) => path === CARD_FILE)) {
    reporter.warn(`there is no ${CARD_FILE} in ${folder}: the repository will have no card`);
  }
  const what = { name, branch: options.branch, files };
  if (options.dryRun) return reporter.result({ dryRun: true, ...what }, describeDryRun(what));
  const hub = writableHub(interruption.signal);
  const pushed = await push(
    hub,
    {
      ...{ ...what, message: options.message ?? message, isPrivate: options.private ?? false },
      files: files.map((file) => ({ ...file, place: join(folder, ...file.path.split("/")) })),
    },
    reporter,
    interruption,
  );
  reporter.result({ ...what, ...pushed }, describePushed(files, pushed));
}

type Push = Parameters<typeof pushModel>[1];

async function push(
  hub: Hub,
  what: Push,
  reporter: Reporter,
  interruption: Interruption,
): Promise<Pushed> {
  const signal = interruption.saying(
    "stopped; the commit is not made, and the same command sends what is missing",
  );
  try {
    return await pushModel(hub, what, {
      onNew(made) {
        const kind = what.isPrivate ? "private repository" : "public repository";
        const title = made === "repository" ? `${kind} ${what.name}` : `branch ${what.branch}`;
        reporter.note(`making the ${title} on ${hub.endpoint}`);
      },
      onOthers: (paths) => reporter.note(describeOthers(paths)),
      onBytes(phase, done, total) {
        reporter.progress(`${phase} ${formatBytes(total)}`, done, total);
        signal.throwIfAborted();
      },
    });
  } catch (error) {
    // What was cut off fails in some way or other.
    signal.throwIfAborted();
    throw error;
  } finally {
    reporter.stop();
  }
}

/** @throws {UsageError} for what is no name of a repository. */
function checkedName(repository: string): string {
  const name = hubModelName(repository);
  if (name !== null && name.revision === null && name.file === null) return name.repository;
  throw new UsageError(
    `${JSON.stringify(repository)} is no name of a repository; it needs to be owner/name${
      name?.revision ? ", and --branch says the branch" : ""
    }`,
  );
}

/** @throws {UsageError} without a token, or a network. */
function writableHub(signal: AbortSignal): Hub {
  const { hub } = userHub(false, signal);
  if (hub === null) {
    throw new UsageError("HF_HUB_OFFLINE says that there is no network, and push needs one");
  }
  if (hub.token !== null) return hub;
  throw new UsageError(
    `HF_TOKEN needs to hold a token that may write (${hub.endpoint}/settings/tokens)`,
  );
}

interface Sent {
  readonly name: string;
  readonly branch: string;
  readonly files: readonly ResultFile[];
}

function describeDryRun({ name, branch, files }: Sent): string {
  return `${summary(files)} would go to ${name}, branch ${branch}:\n${
    table(files.map(({ path, size }) => [path, formatBytes(size)]))
  }`;
}

function describePushed(files: readonly ResultFile[], { url, commit, sent }: Pushed): string {
  const what = sent.length === 0 ? "nothing was to be sent:" : "sent:";
  return `${what} ${summary(files)} at ${url} (commit ${commit})`;
}

function summary(files: readonly ResultFile[]): string {
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  return `${plural(files.length, "file")}, ${formatBytes(bytes)}`;
}

function describeOthers(paths: readonly string[]): string {
  const named = paths.slice(0, NAMED).join(", ");
  const more = paths.length > NAMED ? ` and ${paths.length - NAMED} more` : "";
  return `the repository holds ${named}${more} besides, which stay`;
}
