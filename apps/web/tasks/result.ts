import type { OpfsRun } from "@lopper/browser";
import { formatChange, type PrunePlan, RunFolderError } from "@lopper/core";
import { parsePlanFile } from "@lopper/models";
import { comparedFigures, PLAN_FILES, type RunRecord } from "@lopper/run";
import { describeChanges } from "@lopper/search";
import type { Layers, Result } from "./protocol.ts";
import { StoredRun } from "./runs.ts";

/** @throws {RunFolderError} when the run is not finished, or its result was changed. */
export async function result(id: string): Promise<Result> {
  const run = await StoredRun.open(id);
  return await resultOf(run, await run.store());
}

export async function resultOf(
  { id, about: { title } }: StoredRun,
  store: OpfsRun,
): Promise<Result> {
  const record = await store.record();
  if (record === null) throw new RunFolderError(`The run of ${title} is not finished`);
  const files = await store.resultFiles();
  return {
    ...{ id, title },
    name: `${title.replace(/\.(gguf|onnx)$/i, "")}-${Number(record.flags.ratio.toFixed(2))}`,
    ratio: record.ratio,
    figures: comparedFigures(record).map(({ what, dense, pruned, format }) => ({
      what,
      dense: format(dense),
      pruned: format(pruned),
      change: formatChange(dense, pruned),
    })),
    steps: record.frontier.map(({ stage, changes, perplexity, ratio }) => ({
      stage,
      what: describeChanges(changes),
      perplexity,
      ratio,
    })),
    layers: layersOf(record, await planOf(files)),
    files: new Map(Array.from(files, ([path, { size }]) => [path, size])),
  };
}

function layersOf({ layers, frontier }: RunRecord, plan: PrunePlan): Layers {
  return {
    sizes: layers,
    frontier: frontier.map(({ changes }) => ({ changes })),
    plan,
  };
}

async function planOf(files: ReadonlyMap<string, File>): Promise<PrunePlan> {
  const text = await files.get(PLAN_FILES.plan)?.text();
  const parsed = text === undefined ? null : parsePlanFile(text, PLAN_FILES.plan);
  if (parsed?.kind === "plan") return parsed.plan;
  throw new RunFolderError(`${PLAN_FILES.plan} is missing in the result`);
}
