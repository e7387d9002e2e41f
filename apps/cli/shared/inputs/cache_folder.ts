import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { userPath, userVariable } from "./paths.ts";

/** Where a user's programs keep what can be made anew; LOPPER_CACHE puts it elsewhere. */
export function cacheFolder(): string {
  const own = userVariable("LOPPER_CACHE");
  if (own) return userPath(own);
  const shared = userVariable("XDG_CACHE_HOME");
  if (shared) return join(shared, "lopper");
  const local = process.platform === "win32" ? userVariable("LOCALAPPDATA") : undefined;
  if (local) return join(local, "lopper", "cache");
  const caches = process.platform === "darwin" ? ["Library", "Caches"] : [".cache"];
  return join(homedir(), ...caches, "lopper");
}
