import { UsageError } from "@lopper/core";
import { writeTextFileAtomically } from "@lopper/files";
import { Command } from "commander";
import { join } from "node:path";
import { type Interruption, UNINTERRUPTED } from "../terminal/interrupt.ts";
import { withFolder } from "../folder/own_folder.ts";
import { userPath } from "../inputs/paths.ts";
import { isReportPage, overlayPage, reportPage } from "./report_page.ts";
import { openReporter } from "../terminal/reporter.ts";
import { FILES } from "../folder/run_files.ts";

/** The page of several runs. */
const SEVERAL = "lopper-report.html";

interface Options {
  out?: string;
  scores?: string;
  overwrite?: boolean;
  json?: boolean;
}

export function reportCommand(interruption: Interruption = UNINTERRUPTED): Command {
  return new Command("report")
    .description(
      "Write a page of HTML about a run: what went, what it cost, and what it did to the model; or about several, side by side.",
    )
    .argument("<RUN...>", "folders of finished runs")
    .option(
      "--out <file>",
      `where the page goes (default: ${FILES.report} in the run's folder; ${SEVERAL} here for several)`,
    )
    .option(
      "--scores <dir>",
      "folder in which compare left what it found of the dense model and this run's result: how tasks and texts suffered",
    )
    .option("--overwrite", "replace an earlier page at --out")
    .option("--json", "print one JSON object a line")
    .addHelpText(
      "after",
      "\nExamples:\n  lopper report ./smol-20\n  lopper report ./smol-20 --out ./smol-20.html\n" +
        "  lopper compare ./smollm2 ./smol-20 --tasks paper --out ./scores && lopper report ./smol-20 --scores ./scores\n" +
        "  lopper report ./smol-10 ./smol-20 ./smol-30 --out ./frontiers.html\n",
    )
    .action((folders: readonly string[], options: Options) => run(folders, options, interruption));
}

async function run(
  folders: readonly string[],
  options: Options,
  interruption: Interruption,
) {
  const reporter = openReporter(options.json);
  const paths = folders.map(userPath);
  const [path, ...others] = paths;
  if (options.scores !== undefined && others.length > 0) {
    throw new UsageError(
      "--scores belongs to the page of one run; leave it out, or the other runs",
    );
  }
  const scores = options.scores === undefined ? undefined : userPath(options.scores);
  const own = options.out === undefined && others.length === 0;
  const out = own ? join(path, FILES.report) : userPath(options.out ?? SEVERAL);
  const write = async () => {
    // The page in the run's folder is renewed unasked.
    await checkFree(out, own || options.overwrite);
    const page = others.length === 0 ? await reportPage(path, scores) : await overlayPage(paths);
    interruption("stopped; nothing is written");
    await writeTextFileAtomically(out, page);
    reporter.result(
      { out, bytes: new TextEncoder().encode(page).byteLength },
      `written to ${out}`,
    );
  };
  // It belongs to the result there, which a run may be replacing.
  const isRun = own && (await Deno.stat(path).catch(() => null))?.isDirectory;
  if (isRun) await withFolder(path, (message) => reporter.warn(message), write);
  else await write();
}

/** @throws {UsageError} when something is there that nobody gave up, or that is no page. */
async function checkFree(path: string, overwrite = false) {
  const found = await Deno.stat(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  });
  if (found?.isDirectory) throw new UsageError(`${path} is a folder; --out needs a file`);
  if (found && !overwrite) {
    throw new UsageError(`${path} is there already; choose another --out, or pass --overwrite`);
  }
  if (found && !(found.isFile && await isReportPage(path))) {
    throw new UsageError(
      `${path} is no page of Lopper's, so nothing replaces it; choose another --out`,
    );
  }
}
