import { AsyncLocalStorage } from "node:async_hooks";
import { resolve } from "node:path";
import process from "node:process";
import { ownBuild } from "../build.ts";

const elsewhere = new AsyncLocalStorage<string>();

/**
 * Runs a command for somebody who stands in another folder than this process, whose own folder and
 * environment all of its threads share.
 */
export function standingIn<T>(folder: string, command: () => Promise<T>): Promise<T> {
  return elsewhere.run(folder, command);
}

/** A path that the user gave, from where the user stands, without ".." and slashes at its end. */
export function userPath(path: string): string {
  return resolve(placeOfUser(), path);
}

/**
 * `deno task` changes to the project's folder and hands the user's own on in INIT_CWD. So does npm
 * for scripts of a package, whose paths begin at the package: what npm starts stays where it is.
 */
function placeOfUser(): string {
  const ofTask = ownBuild() === null ? process.env.INIT_CWD : undefined;
  return elsewhere.getStore() ?? ofTask ?? process.cwd();
}
