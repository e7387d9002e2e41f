import { CARD_FILE } from "@lopper/card";
import { UsageError } from "@lopper/core";
import { codeOf, isFolder, writeTextFileAtomically } from "@lopper/files";
import { on, type OptionTable, type OptionValues, OUTPUT, path } from "@lopper/options";
import { Command } from "commander";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { type Interruption, UNINTERRUPTED } from "../shared/terminal/interrupt.ts";
import { lockFolder } from "../shared/folder/own_folder.ts";
import { addOptions } from "../shared/inputs/commander_options.ts";
import { userPath } from "../shared/inputs/paths.ts";
import { renewCard, type RenewedCard } from "./renew_card.ts";
import { isReportPage, overlayPage, reportPage } from "../shared/reporting/report_page.ts";
import { openReporter } from "../shared/terminal/reporter.ts";
import { FILES } from "../shared/folder/run_files.ts";

/** The page of several runs. */
const SEVERAL = "lopper-report.html";

/** What is said of the card in the run's folder. */
const CARD_SAYS: Readonly<Record<RenewedCard, string>> = {
  renewed: `\nits ${CARD_FILE} has the scores, too`,
  changed: `\nits ${CARD_FILE} was changed by hand, and stays as it is`,
  none: "",
};

const REPORT_OPTIONS = {
  out: {
    form: path("file"),
    help: "where the page goes",
    stated: `${FILES.report} in the run's folder; ${SEVERAL} here for several`,
  },
  scores: {
    form: path("dir"),
    help:
      "folder in which compare left what it found of the dense model and this run's result: how tasks and texts suffered; " +
      "the run's README.md has it then, too",
  },
  overwrite: { form: on, help: "replace an earlier page at --out" },
  ...OUTPUT,
} as const satisfies OptionTable;
type Options = OptionValues<typeof REPORT_OPTIONS>;

export function reportCommand(interruption: Interruption = UNINTERRUPTED): Command {
  const command = new Command("report")
    .description(
      "Write a page of HTML about a run: what went, what it cost, and what it did to the model; or about several, side by side.",
    )
    .argument("<RUN...>", "folders of finished runs");
  return addOptions(command, REPORT_OPTIONS)
    .addHelpText(
      "after",
      "\nExamples:\n  lopper report ./smol-20\n  lopper report ./smol-20 --out ./smol-20.html\n" +
        "  lopper compare ./smollm2 ./smol-20 --tasks paper --out ./scores && lopper report ./smol-20 --scores ./scores\n" +
        "  lopper report ./smol-10 ./smol-20 ./smol-30 --out ./frontiers.html\n",
    )
    .action((folders: readonly string[], options: Options) =>
      writePage(folders, options, interruption)
    );
}

async function writePage(
  folders: readonly string[],
  options: Options,
  interruption: Interruption,
) {
  using reporter = openReporter(options.json);
  const paths = folders.map(userPath);
  const [run, ...others] = paths;
  if (options.scores !== undefined && others.length > 0) {
    throw new UsageError(
      "--scores belongs to the page of one run; leave it out, or the other runs",
    );
  }
  const own = options.out === undefined && others.length === 0;
  const out = own ? join(run, FILES.report) : options.out ?? userPath(SEVERAL);
  // It belongs to the result there, which a run may be replacing.
  const isRun = own && await isFolder(run);
  await using _ = isRun ? await lockFolder(run, (text) => reporter.warn(text)) : null;
  // The page in the run's folder is renewed unasked.
  await checkFree(out, own || options.overwrite);
  const page = others.length === 0
    ? await reportPage(run, options.scores)
    : await overlayPage(paths);
  interruption.saying("stopped; nothing is written").throwIfAborted();
  await writeTextFileAtomically(out, page);
  const bytes = new TextEncoder().encode(page).byteLength;
  const card = isRun && options.scores ? await renewCard(run, options.scores) : "none";
  reporter.result({ out, bytes, card }, `written to ${out}${CARD_SAYS[card]}`);
}

/** @throws {UsageError} when something is there that nobody gave up, or that is no page. */
async function checkFree(path: string, overwrite = false) {
  const found = await stat(path).catch((error) => {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  });
  if (found?.isDirectory()) throw new UsageError(`${path} is a folder; --out needs a file`);
  if (found && !overwrite) {
    throw new UsageError(`${path} is there already; choose another --out, or pass --overwrite`);
  }
  if (found && !(found.isFile() && await isReportPage(path))) {
    throw new UsageError(
      `${path} is no page of Lopper's, so nothing replaces it; choose another --out`,
    );
  }
}
