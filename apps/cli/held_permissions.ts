import type { Command } from "commander";
import { isOnHub } from "./inputs/locate_models.ts";
import {
  ALL_PERMISSIONS,
  keepOnly,
  PERMISSIONS,
  type Permissions,
  withDownloads,
} from "./permissions.ts";

/**
 * Holds a process to what its command needs: less from the beginning, and still less once its
 * models are there.
 */
export function heldPermissions() {
  let needed = ALL_PERMISSIONS;
  return {
    /** Gives back what a command does not need when it begins. */
    watch(program: Command) {
      program.hook("preAction", async (_, command) => {
        needed = PERMISSIONS[command.name()];
        await keepOnly(await neededFirst(command));
      });
    },
    /** Gives back the network: no file of a model is opened while there is one. */
    onModelsHere: () => keepOnly({ ...needed, net: undefined }),
  };
}

/** What a command needs until its models are there. */
async function neededFirst(command: Command): Promise<Permissions> {
  const needed = PERMISSIONS[command.name()];
  const { offline, resume } = command.opts();
  if (offline) return { ...needed, net: undefined };
  const models: string[] = [command.processedArgs[0] ?? []].flat();
  const onHub = await Promise.all(models.map(isOnHub));
  // The settings of a run say what it was begun with.
  return resume || onHub.includes(true) ? withDownloads(needed) : needed;
}
