import type { Command } from "commander";
import { isCount } from "./prune/open_queue.ts";
import { isOnHub } from "./shared/inputs/locate_models.ts";
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
        needed = neededBy(command);
        await keepOnly(await neededFirst(command));
      });
    },
    /**
     * Gives back the network: no file of a model is opened while there is one, unless work is
     * shared out over it.
     */
    onModelsHere: () => keepOnly({ ...needed, net: needed.queue }),
  };
}

/** What a command needs with its options. */
function neededBy(command: Command): Permissions {
  const needed = PERMISSIONS[command.name()];
  const { workers } = command.opts();
  return workers === undefined || isCount(workers) ? needed : { ...needed, net: true, queue: true };
}

/** What a command needs until its models are there. */
async function neededFirst(command: Command): Promise<Permissions> {
  const needed = neededBy(command);
  const { offline, resume } = command.opts();
  if (offline) return { ...needed, net: needed.queue };
  const models: string[] = [command.processedArgs[0] ?? []].flat();
  const onHub = await Promise.all(models.map(isOnHub));
  // The settings of a run say what it was begun with.
  return resume || onHub.includes(true) ? withDownloads(needed) : needed;
}
