import { UsageError } from "@lopper/core";
import { isFolder } from "@lopper/files";
import { realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * A result is written apart from its source, by whatever names the two are called: links, other
 * spellings, "..".
 * @param source folder or file of the model.
 * @throws {UsageError} when `out` is the source, contains it, or is in its folder.
 */
export async function checkApart(out: string, source: string): Promise<void> {
  const [outPlaces, sourcePlaces] = [await placesOf(out), await placesOf(source)];
  const isSourceFolder = await isFolder(source);
  const [place, folder] = [outPlaces[0], sourcePlaces[0]];
  // A place that does not exist yet is no other place's parent.
  const contains = place !== null && sourcePlaces.includes(place);
  const inside = isSourceFolder && folder !== null && outPlaces.includes(folder);
  if (!contains && !inside) return;
  const relation = !contains
    ? "lies in the model's own folder"
    : inside
    ? "is the model's own folder"
    : isSourceFolder
    ? "contains the model's own folder"
    : "contains the model's own file";
  throw new UsageError(`--out ${out} ${relation}; the result needs a folder apart from it`);
}

/**
 * What identifies a path and every folder above it, from the inside out: the same for every name of
 * one place, where the file system can say so. Null for what does not exist.
 */
async function placesOf(path: string): Promise<readonly (string | null)[]> {
  const places: (string | null)[] = [];
  for (let at = path;; at = dirname(at)) {
    const real = await realpath(at).catch(() => null);
    if (real !== null) return [...places, ...await identities(real)];
    places.push(null);
    if (dirname(at) === at) return places;
  }
}

async function identities(real: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (let at = real;; at = dirname(at)) {
    const { dev, ino } = await stat(at);
    // Windows has no inodes, and no difference between letters.
    found.push(ino ? `${dev}:${ino}` : at.toLowerCase());
    if (dirname(at) === at) return found;
  }
}
