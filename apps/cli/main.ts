import { LopperError, UsageError } from "@lopper/core";
import { type Command, CommanderError } from "commander";
import { Interrupted, listenForInterruption } from "./interrupt.ts";
import { keepOnly, PERMISSIONS, type Permissions } from "./permissions.ts";
import { lopperProgram } from "./program.ts";
import { systemSentence } from "./system_error.ts";
import { tell, tellLines } from "./terminal.ts";

/** 0 done, 1 failed, 2 wrong usage; 130 stopped by Ctrl-C, as shells expect. */
async function main(args: readonly string[]): Promise<number> {
  const interruption = await listenForInterruption();
  try {
    const program = lopperProgram(interruption);
    program.hook("preAction", (_, command) => keepOnly(neededBy(command)));
    await program.parseAsync([...args], { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof Interrupted) {
      tell(error.message);
      return 130;
    }
    if (error instanceof LopperError) {
      tell(`lopper: ${error.message}`);
      return error instanceof UsageError ? 2 : 1;
    }
    const sentence = systemSentence(error);
    if (sentence !== null) {
      tell(`lopper: ${sentence}`);
      return 1;
    }
    tellLines(`lopper: this is a fault in Lopper, please report it:\n${Deno.inspect(error)}`);
    return 1;
  }
}

function neededBy(command: Command): Permissions {
  const needed = PERMISSIONS[command.name()];
  return command.opts().offline ? { ...needed, net: undefined } : needed;
}

Deno.exit(await main(Deno.args));
