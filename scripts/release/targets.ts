import type { System } from "./engine_files.ts";

/** The systems that a binary is made for, by Deno's name of each. */
export const TARGETS: Readonly<Record<string, System>> = {
  "x86_64-unknown-linux-gnu": { platform: "linux", arch: "x64" },
  "aarch64-unknown-linux-gnu": { platform: "linux", arch: "arm64" },
  "x86_64-apple-darwin": { platform: "darwin", arch: "x64" },
  "aarch64-apple-darwin": { platform: "darwin", arch: "arm64" },
  "x86_64-pc-windows-msvc": { platform: "win32", arch: "x64" },
};

/** What a file for a target is called. */
export function binaryName(version: string, target: string): string {
  const { platform, arch } = TARGETS[target];
  const system = { linux: "linux", darwin: "macos", win32: "windows" }[platform];
  return `lopper-${version}-${system}-${arch}${platform === "win32" ? ".exe" : ""}`;
}

/** The targets of `--target`, where "all" is each of them; a sentence when they cannot be. */
export function targetsOf(words: readonly string[]): readonly string[] | string {
  const targets = words.includes("all") ? Object.keys(TARGETS) : words;
  const unknown = targets.find((target) => !Object.hasOwn(TARGETS, target));
  if (unknown !== undefined) {
    return `--target ${unknown} is none of: ${Object.keys(TARGETS).join(", ")}, all`;
  }
  // It would be put into all of them, whatever it is for.
  return targets.length > 1 && Deno.env.has("DENORT_BIN")
    ? "DENORT_BIN names the runtime of one system; give one --target with it"
    : targets;
}
