import { LopperError, UsageError } from "@lopper/core";
import { CommanderError } from "commander";
import process from "node:process";
import { inspect } from "node:util";
import { heldPermissions } from "./held_permissions.ts";
import { modelLocator } from "./shared/inputs/locate_models.ts";
import { findNativeEngine } from "./shared/inputs/native_engine.ts";
import { InterruptError, listenForInterruption } from "./shared/terminal/interrupt.ts";
import { PERMISSIONS } from "./permissions.ts";
import { lopperProgram } from "./program.ts";
import { systemSentence } from "./shared/terminal/system_error.ts";
import { tell, tellLines } from "./shared/terminal/terminal.ts";

/**
 * Runs the command that the process was started with, and ends the process with its code: 0 done,
 * 1 failed, 2 wrong usage; 130 stopped, as shells expect.
 */
export async function runProcess(): Promise<never> {
  // What nobody waited for is told like everything else.
  process.on("unhandledRejection", (reason) => process.exit(tellError(reason)));
  process.exit(await run(process.argv.slice(2)));
}

async function run(args: readonly string[]): Promise<number> {
  try {
    const held = heldPermissions();
    const locate = modelLocator(held.onModelsHere);
    const program = lopperProgram(await listenForInterruption(), locate);
    // As long as it may write.
    program.hook("preAction", async (_, command) => {
      if (PERMISSIONS[command.name()].ffi) await findNativeEngine(command.opts().backend);
    });
    held.watch(program);
    await program.parseAsync([...args], { from: "user" });
    return 0;
  } catch (error) {
    return tellError(error);
  }
}

/** Says what went wrong, and returns the process's code. */
export function tellError(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof InterruptError) {
    tellLines();
    tell(error.message);
    return 130;
  }
  if (error instanceof LopperError) {
    tell(`lopper: ${error.message}`);
    return error instanceof UsageError ? 2 : 1;
  }
  const sentence = systemSentence(error);
  if (sentence !== null) tell(`lopper: ${sentence}`);
  else tellLines(`lopper: this is a fault in Lopper, please report it:\n${inspect(error)}`);
  return 1;
}
