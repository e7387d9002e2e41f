import { Command } from "commander";
import { asCalled, commandLine, programName, versionText } from "./called_as.ts";
import { compareCommand } from "./compare/compare.ts";
import { evaluateCommand } from "./evaluate/evaluate.ts";
import { exportCommand } from "./export/export.ts";
import { generateCommand } from "./generate/generate.ts";
import { modelLocator } from "./shared/inputs/locate_models.ts";
import { inspectCommand } from "./inspect/inspect.ts";
import { measureSpeedCommand } from "./compare/measure_speed.ts";
import { pruneCommand } from "./prune/prune.ts";
import { pushCommand } from "./push/push.ts";
import { reportCommand } from "./report/report.ts";
import { workerCommand } from "./worker/worker_command.ts";
import { UNINTERRUPTED } from "./shared/terminal/interrupt.ts";
import { print, tellLines } from "./shared/terminal/terminal.ts";

/**
 * All commands with their options. A wrong call is a `CommanderError`.
 * @param locate finds the models that commands are given.
 */
export function lopperProgram(interruption = UNINTERRUPTED, locate = modelLocator()): Command {
  const program = new Command(programName())
    .description("Make pre-trained language models smaller, without training, on this machine.")
    .version(versionText());
  for (
    const build of [
      pruneCommand,
      evaluateCommand,
      compareCommand,
      inspectCommand,
      generateCommand,
      exportCommand,
      reportCommand,
      pushCommand,
      workerCommand,
    ]
  ) {
    program.addCommand(build(interruption, locate));
  }
  program.addCommand(measureSpeedCommand(interruption), { hidden: true });
  for (const command of [program, ...program.commands]) {
    const explained = `(${programName()} COMMAND --help explains each option)`;
    command.showHelpAfterError(explained).exitOverride();
    command.configureHelp({ commandUsage: usageOf });
    command.configureOutput({
      // To find out, it would read variables that no command may read; a help text has no colours.
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      writeOut: (text) => print(asCalled(text).replace(/\n$/, "")),
      writeErr: (text) => tellLines(text.replace(/\n$/, "")),
    });
  }
  return program;
}

/** The line that a help begins with. */
function usageOf(command: Command): string {
  const called = command.parent === null ? programName() : commandLine(command.name());
  return `${called} ${command.usage()}`;
}
