import { DEMO_MODEL } from "@lopper/demo-model";
import { type Model, openModel, openTokenizer } from "@lopper/model-io";
import { FileFolder } from "@lopper/model-io/files";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { QUICK, runLopper } from "./cli.ts";

/** A plan for the embedded model, written by hand: every way in which a layer can differ, layer 0 without attention. */
const PLAN = fileURLToPath(new URL("../fixtures/heterogeneous_plan.json", import.meta.url));

export interface ExportedDemo {
  /** The source of the export, open. */
  readonly model: Model;
  /** The export's folder. */
  readonly out: string;
  /** A prompt. */
  readonly ids: readonly number[];
}

/** Exports the embedded model by the command line, dense or after `PLAN`, into a folder within `folder`. */
export async function exportedDemo(
  folder: string,
  shape: "dense" | "heterogeneous",
  format: string,
  dtype?: string,
  more: readonly string[] = [],
): Promise<ExportedDemo> {
  const lopper = async (...args: string[]) => {
    const { code, stderr } = await runLopper(args, folder);
    assert.equal(code, 0, stderr);
  };
  if (shape === "heterogeneous") {
    await lopper("prune", "--plan", PLAN, "--out", "pruned", ...QUICK);
  }
  const source = shape === "dense" ? "demo" : "pruned";
  const typed = dtype === undefined ? [] : ["--dtype", dtype];
  await lopper("export", source, "--to", format, "--out", "out", ...typed, ...more);
  const path = shape === "dense" ? fileURLToPath(DEMO_MODEL) : `${folder}/pruned`;
  const model = await openModel(new FileFolder(path));
  const tokenizer = await openTokenizer(model.folder);
  return { model, out: `${folder}/out`, ids: tokenizer.encode("The old man looked at the sea") };
}
