import { AsyncLocalStorage } from "node:async_hooks";
import { resolve } from "node:path";
import process from "node:process";
import { ownBuild } from "../../build.ts";

/** From where somebody calls a command. */
export interface Caller {
  /** Where they stand; left out, where this process does. */
  readonly folder?: string;
  /** What their environment says, where it differs from that of this process. */
  readonly variables?: Readonly<Record<string, string>>;
}

const elsewhere = new AsyncLocalStorage<Caller>();

/**
 * Runs a command for somebody else than who started this process, whose folder and environment all
 * of its threads share.
 */
export function calledFrom<T>(caller: Caller, command: () => Promise<T>): Promise<T> {
  return elsewhere.run(caller, command);
}

/** A variable of the user's environment; undefined where it is not set, or empty. */
export function userVariable(name: string): string | undefined {
  return (elsewhere.getStore()?.variables?.[name] ?? process.env[name]) || undefined;
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
  return elsewhere.getStore()?.folder ?? ofTask ?? process.cwd();
}
