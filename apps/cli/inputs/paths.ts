import { resolve } from "node:path";
import process from "node:process";

/**
 * A path that the user gave, from where the user stands, without ".." and slashes at its end. `deno task` changes to the
 * project's folder and hands the user's own on in INIT_CWD.
 */
export function userPath(path: string): string {
  return resolve(process.env.INIT_CWD ?? process.cwd(), path);
}
