import type { Architecture } from "@lopper/core";
import {
  type ModelFolder,
  type OpenSink,
  planShards,
  type TensorEntry,
  writeFile,
  writeSafetensors,
  writeText,
} from "@lopper/formats";
import { copyCompanions } from "./companions.ts";
import { configText } from "./config_text.ts";
import { type ModelToWrite, withoutEmptyLayers } from "./empty_layers.ts";
import type { StoredForm } from "./model.ts";
import { packedEntries } from "./packed_entries.ts";
import CONFIGURATION from "./transformers/configuration_lopper.py" with { type: "text" };
import MODELING from "./transformers/modeling_lopper.py" with { type: "text" };
import { wholeConfig, type WholeModel } from "./whole_model.ts";
import { writtenConfig } from "./written_config.ts";

/** What a checkpoint is written of. */
export interface Checkpoint extends ModelToWrite {
  /** Where the files lie that belong beside it. */
  readonly folder: ModelFolder;
  readonly stored: Pick<StoredForm, "whole">;
}

export interface WrittenCheckpoint {
  /** What it is now: layers that had lost both blocks may be gone. */
  readonly architecture: Architecture;
  /** Paths from the folder, in the order in which they were written. */
  readonly files: readonly string[];
  /** transformers has to run the code that lies beside the weights (`trust_remote_code`). */
  readonly customCode: boolean;
}

/** What transformers needs to open layers of their own. */
const CODE = {
  "configuration_lopper.py": CONFIGURATION,
  "modeling_lopper.py": MODELING,
} as const;

/**
 * Writes a checkpoint in Hugging Face layout, as transformers and Lopper open it. Where layers are
 * not all alike, the code that knows such lies beside it. One tensor is in memory at a time;
 * config.json is written last, so that a folder with one is whole. The text model of another model
 * is written in that, whose other tensors stay as they are, where no code is needed to open it.
 * @param open gives the sink of a file; what was written appears under its name on commit only.
 */
export async function writeCheckpoint(
  checkpoint: Checkpoint,
  open: OpenSink,
  maxShardBytes?: number,
): Promise<WrittenCheckpoint> {
  const model = withoutEmptyLayers(checkpoint);
  const config = writtenConfig(model);
  const entries = packedEntries(model.architecture, model.family, model.entries);
  const customCode = "auto_map" in config;
  const whole = customCode ? null : checkpoint.stored.whole;
  const all = whole ? inWhole(whole, entries) : entries;
  const files = await writeWeights(all, open, maxShardBytes);
  files.push(...await copyCompanions(checkpoint.folder, open, whole !== null));
  if (customCode) {
    for (const [file, text] of Object.entries(CODE)) {
      await writeText(open, file, text);
      files.push(file);
    }
  }
  await writeText(open, "config.json", configText(whole ? wholeConfig(whole, config) : config));
  files.push("config.json");
  return { architecture: model.architecture, files, customCode };
}

/** The tensors of a text model under the names that they have in another, and those of that. */
function inWhole(
  { others, storedName, readBytes }: WholeModel,
  entries: readonly TensorEntry[],
): readonly TensorEntry[] {
  return [
    ...entries.map((entry) => ({ ...entry, name: storedName(entry.name) })),
    ...others.map(({ name, dtype, shape }) => ({
      ...{ name, dtype, shape },
      data: () => readBytes(name),
    })),
  ];
}

/** Writes tensors as one file, or as shards with their index; returns the names of the files. */
export async function writeWeights(
  entries: readonly TensorEntry[],
  open: OpenSink,
  maxShardBytes?: number,
): Promise<string[]> {
  const { shards, indexJson } = planShards(entries, maxShardBytes);
  const files: string[] = [];
  for (const { file, entries } of shards) {
    await writeFile(open, file, (sink) => writeSafetensors(sink, entries));
    files.push(file);
  }
  if (indexJson !== undefined) {
    await writeText(open, "model.safetensors.index.json", indexJson);
    files.push("model.safetensors.index.json");
  }
  return files;
}
