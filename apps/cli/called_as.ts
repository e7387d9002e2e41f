import { VERSION } from "@lopper/core";
import process from "node:process";
import { ownBuild } from "./build.ts";

/** How commands are called where their help is written. */
const WRITTEN = /\blopper (?=[a-z])/g;

/** What a user types to start this program. */
export function programName(): string {
  const build = ownBuild();
  if (build === null) return "deno task lopper";
  // Started by `npx`, it is not on the user's path.
  return build.kind === "npm" && isRunByNpx() ? "npx lopper" : "lopper";
}

/** What a user types to start one of its commands, with what may follow it. */
export function commandLine(command: string): string {
  return `${beforeCommands()} ${command}`;
}

/** A help with its commands in the words that start them here. */
export function asCalled(help: string): string {
  return help.replaceAll(WRITTEN, `${beforeCommands()} `);
}

/** In a checkout each command has a task of its own, which may do no more than it needs. */
function beforeCommands(): string {
  return ownBuild() === null ? "deno task" : programName();
}

/** What `--version` says. */
export function versionText(): string {
  const build = ownBuild();
  const runtime = navigator.userAgent.replace("/", " ");
  if (build === null) return `lopper ${VERSION} (a checkout), on ${runtime}\nlicence: Apache-2.0`;
  const { commit, kind, target, packages } = build;
  const what = kind === "binary" ? `binary for ${target}` : "npm package";
  const engines = packages.filter(({ isEngine }) => isEngine)
    .map(({ name, version, licence }) => `${name} ${version} (${licence})`);
  const licences = [...new Set(packages.map(({ licence }) => licence))].sort();
  return [
    `lopper ${VERSION} (commit ${commit}, ${what}), on ${runtime}`,
    `engines: ${engines.join(", ")}`,
    `licence: Apache-2.0; ${packages.length} packages in it: ${licences.join(", ")}`,
  ].join("\n");
}

/** npm says so to what it starts; Deno, which would have to be allowed to ask, never gets here. */
export function isRunByNpx(): boolean {
  return process.env.npm_command === "exec";
}
