import { CARD_FILE, cardMetadata, isOwnCard } from "@lopper/card";
import { INPUTS } from "@lopper/core";
import { FileFolder, readInputIfThere, writeTextFileAtomically } from "@lopper/files";
import { openModel } from "@lopper/models";
import { cardOfRun } from "@lopper/run";
import { join } from "node:path";
import { readScores } from "../shared/measuring/comparison_file.ts";
import { namesOfRun } from "../shared/reporting/run_names.ts";
import { readRecord } from "../shared/folder/run_files.ts";
import { modelName } from "../shared/reporting/report_files.ts";

/** What became of the card of a run. */
export type RenewedCard = "renewed" | "changed" | "none";

/**
 * Writes the card of a finished run anew, with what somebody measured of its result. A card that
 * was changed since Lopper wrote it is its author's, and stays.
 * @param scores folder of a comparison of the run's result with its dense model.
 */
export async function renewCard(folder: string, scores: string): Promise<RenewedCard> {
  const path = join(folder, CARD_FILE);
  const card = await readInputIfThere(path, INPUTS.card);
  if (card === null) return "none";
  if (!await isOwnCard(card)) return "changed";
  const record = await readRecord(folder);
  const metadata = cardMetadata(card);
  const [id = null, ...others] = metadata?.base_model ?? [];
  const { flags } = record;
  using written = await openModel(new FileFolder(folder));
  const renewed = await cardOfRun({
    ...{ record, written, names: namesOfRun(modelName(flags.model), flags) },
    source: { id: others.length > 0 ? null : id, revision: null, metadata },
    scores: await readScores(scores, record),
  });
  await writeTextFileAtomically(path, renewed);
  return "renewed";
}
