import { VERSION } from "@lopper/core";
import { Command } from "commander";
import { compareCommand } from "./commands/compare.ts";
import { evaluateCommand } from "./commands/evaluate.ts";
import { exportCommand } from "./commands/export.ts";
import { generateCommand } from "./commands/generate.ts";
import { inspectCommand } from "./commands/inspect.ts";
import { measureSpeedCommand } from "./commands/measure_speed.ts";
import { pruneCommand } from "./commands/prune.ts";
import { reportCommand } from "./commands/report.ts";
import { UNINTERRUPTED } from "./interrupt.ts";
import { print, tellLines } from "./terminal.ts";

/** All commands with their options. A wrong call is a `CommanderError`. */
export function lopperProgram(interruption = UNINTERRUPTED): Command {
  const program = new Command("lopper")
    .description("Make pre-trained language models smaller, without training, on this machine.")
    .version(VERSION);
  for (
    const build of [
      pruneCommand,
      evaluateCommand,
      compareCommand,
      inspectCommand,
      generateCommand,
      exportCommand,
      reportCommand,
    ]
  ) {
    program.addCommand(build(interruption));
  }
  program.addCommand(measureSpeedCommand(interruption), { hidden: true });
  for (const command of [program, ...program.commands]) {
    command.showHelpAfterError("(lopper COMMAND --help explains each option)").exitOverride();
    command.configureOutput({
      writeOut: (text) => print(text.replace(/\n$/, "")),
      writeErr: (text) => tellLines(text.replace(/\n$/, "")),
    });
  }
  return program;
}
