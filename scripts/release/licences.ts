import { join } from "node:path";
import type { BundledPackage } from "../../apps/cli/build.ts";
import type { NpmPackage } from "./module_graph.ts";

const TEXT = /^(?:licen[cs]e|copying|notice)/i;
const ENGINE = /^onnxruntime-(?:node|web)$/;

/** What `--version` says of a package. */
export async function describePackage(
  { name, version, folder }: NpmPackage,
): Promise<BundledPackage> {
  const { license } = JSON.parse(await Deno.readTextFile(join(folder, "package.json")));
  if (typeof license !== "string") throw new Error(`${folder}: its package.json names no licence`);
  return { name, version, licence: license, isEngine: ENGINE.test(name) };
}

/** The licences of packages, with their texts where the packages have them. */
export async function licenceTexts(packages: readonly NpmPackage[]): Promise<string> {
  const parts = ["Lopper is under the Apache License 2.0. It contains these packages:\n"];
  for (const found of packages) {
    const { name, version, licence } = await describePackage(found);
    parts.push(`${"-".repeat(72)}\n${name} ${version}: ${licence}\n`);
    for await (const { name: file, isFile } of Deno.readDir(found.folder)) {
      if (!isFile || !TEXT.test(file)) continue;
      parts.push((await Deno.readTextFile(join(found.folder, file))).trim() + "\n");
    }
  }
  return parts.join("\n");
}
