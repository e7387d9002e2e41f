import { resolve } from "node:path";
import process from "node:process";
import { ownBuild } from "../build.ts";

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
  return ofTask ?? process.cwd();
}
