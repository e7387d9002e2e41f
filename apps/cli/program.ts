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

/** All commands with their options. A wrong call is a `CommanderError`. */
export function lopperProgram(): Command {
  const program = new Command("lopper")
    .description("Make pre-trained language models smaller, without training, on this machine.")
    .version(VERSION)
    .showHelpAfterError("(lopper COMMAND --help explains each option)")
    .exitOverride();
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
    program.addCommand(build().exitOverride());
  }
  return program.addCommand(measureSpeedCommand().exitOverride(), { hidden: true });
}
