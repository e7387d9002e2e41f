import { densePlan, INPUTS, type PrunePlan, UsageError } from "@lopper/core";
import type { ImportanceSource, QuantisedSource } from "@lopper/exports";
import { isFile, openInput, readInput } from "@lopper/files";
import { readImportanceMatrix } from "@lopper/formats";
import { type Model, modelDigest, openGgufModel, parsePlanFile } from "@lopper/models";
import { PLAN_FILES } from "@lopper/run";
import { join } from "node:path";

/** A source of quantised bytes, whose file is closed in the end. */
export type OpenSource = QuantisedSource & Disposable;

/**
 * The GGUF file from which a model was pruned, with the plan beside the model.
 * @param path of the file.
 * @param folder of the model.
 * @throws {UsageError} when the file is none, or no plan lies in the folder.
 */
export async function quantisedSource(path: string, folder: string): Promise<OpenSource> {
  if (!/\.gguf$/i.test(path)) {
    throw new UsageError(`--keep-quantised is ${path}; it needs to be a GGUF file`);
  }
  const plan = await planBeside(folder);
  if (!plan) {
    throw new UsageError(
      `--keep-quantised copies what a run kept of a GGUF file, and ${folder} has no ${PLAN_FILES.plan}`,
    );
  }
  const model = await openGgufModel(await openInput(path, INPUTS.modelFile));
  return { model, plan, [Symbol.dispose]: () => model[Symbol.dispose]() };
}

/** The plan of the run whose result lies in a folder; null where there is none. */
async function planBeside(folder: string): Promise<PrunePlan | null> {
  const file = join(folder, PLAN_FILES.plan);
  if (!await isFile(file)) return null;
  const parsed = parsePlanFile(await readInput(file, INPUTS.plan), file);
  if (parsed.kind !== "plan") throw new UsageError(`${file} is no plan of a run`);
  return parsed.plan;
}

/**
 * An importance matrix of llama.cpp, with the plan beside a model; without one it is of the model
 * itself.
 * @param path of the matrix.
 * @param folder of the model.
 */
export async function importanceSource(path: string, folder: string): Promise<ImportanceSource> {
  const source = await openInput(path, INPUTS.modelFile);
  try {
    const matrix = await readImportanceMatrix(source);
    return { file: path, matrix, plan: await planBeside(folder) };
  } finally {
    source.close();
  }
}

/** Where the bytes of a model itself are, which is not pruned; null where none is quantised. */
export async function itself(model: Model): Promise<QuantisedSource | null> {
  if (model.stored.quantised === null) return null;
  return { model, plan: densePlan(model.architecture, await modelDigest(model)) };
}
