import type { ModelConfig } from "../config_schema.ts";
import type { Family } from "../families/family.ts";
import type { Model, StoredForm } from "../model.ts";
import type { TensorStore } from "@lopper/formats";
import type { BoundModel } from "../tied_head.ts";
import { checkSpecialIds, checkTokens } from "@lopper/tokenizers";
import { withEndTokens } from "./generation_config.ts";
import type { KnownFolder } from "./known_folder.ts";
import { wholeNote } from "../whole_model.ts";
import { readFolderFacts } from "./open_folder.ts";

/** A model whose weights are found, without what its folder says besides. */
export interface FoundModel extends BoundModel<ModelConfig> {
  readonly family: Family;
  readonly store: TensorStore;
  /** The file that describes it. */
  readonly description: string;
  /** Paths of the files whose weights are read. */
  readonly read: readonly string[];
}

/**
 * The model of a folder, with what the folder says of its tokens and of what is passed over.
 * @param stored how its files have it, where that is otherwise than it is read.
 * @throws {CheckpointFormatError} when one of the files is malformed, or disagrees with the model.
 */
export async function modelOfFolder(
  folder: KnownFolder,
  found: FoundModel,
  stored: StoredForm = { quantised: null, whole: null },
): Promise<Model> {
  const { architecture, family, config, weights, store, description, read } = found;
  const { whole } = stored;
  const facts = await readFolderFacts(folder, read, whole !== null);
  const notes = await checkTokens(folder, architecture.vocabSize);
  const describedIn = { config, file: `${folder.name}/${description}` };
  await checkSpecialIds(folder, describedIn, architecture.vocabSize);
  return {
    name: folder.name,
    folder,
    architecture: withEndTokens(architecture, facts.eosTokenIds),
    family,
    config,
    weights,
    store,
    weightBytes: weights.reduce((sum, { tensor }) => sum + tensor.byteLength, 0),
    stored,
    notes: [...whole ? [wholeNote(whole)] : [], ...found.notes, ...facts.notes, ...notes],
    [Symbol.dispose]: () => store.close(),
  };
}
