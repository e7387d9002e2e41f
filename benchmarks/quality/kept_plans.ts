/**
 * Plans of searches that benchmarks made, kept in results/plans as `--plan` takes them, but
 * compressed: whoever wants one of these models, or another repair of it, needs no search.
 */
import { unzipped } from "../calibration_texts.ts";

const PLANS = new URL("../results/plans/", import.meta.url);

/** Keeps the plan of a run's folder. */
export async function keepPlan(name: string, run: string): Promise<void> {
  const file = fileOf(name);
  await Deno.mkdir(new URL(".", file), { recursive: true });
  const { readable } = await Deno.open(`${run}/lopper_plan.json`);
  await Deno.writeFile(file, readable.pipeThrough(new CompressionStream("gzip")));
}

/**
 * Writes a kept plan where `--plan` can read it.
 * @throws {Deno.errors.NotFound} when it was not kept.
 */
export async function writeKeptPlan(name: string, path: string): Promise<void> {
  await Deno.writeTextFile(path, await unzipped(fileOf(name)));
}

function fileOf(name: string): URL {
  return new URL(`${name}.json.gz`, PLANS);
}
