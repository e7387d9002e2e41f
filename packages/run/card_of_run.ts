import { CARD_FILE, type CardFacts, type CardScores, modelCard } from "@lopper/card";
import { DTYPE_NAMES, exportable } from "@lopper/exports";
import { writeText } from "@lopper/formats";
import { criterionOf } from "@lopper/importance";
import { dtypeOfQuantised, fateOf, hubOrigin, type Model } from "@lopper/models";
import { commandsOfRun } from "./commands.ts";
import { heldOutTexts } from "./compared_figures.ts";
import type { RunNames } from "./prepare.ts";
import { heldOutLength } from "./texts.ts";
import type { RunRecord } from "./schemas/record.ts";
import { sourceMetadata } from "./source_metadata.ts";
import type { RunStore } from "./store.ts";

/** Where the run of a card goes that is made again. */
const AGAIN = "again";

/** What the card of a result is made of, besides its record. */
export interface CardOfRun {
  readonly record: RunRecord;
  readonly names: RunNames;
  /** Where the dense model is known from. */
  readonly source: Pick<CardFacts["source"], "id" | "revision" | "metadata">;
  /** The result, open. */
  readonly written: Model;
  /** How it compares with the dense model, where somebody measured that. */
  readonly scores?: CardScores | null;
}

/** Writes the card of a result into its store. */
export async function writeCard(
  model: Model,
  record: RunRecord,
  store: RunStore,
  names: RunNames = namesOf(model),
): Promise<void> {
  using written = await store.reopen();
  const { folder } = model;
  const source = { ...hubOrigin(folder.name), metadata: await sourceMetadata(folder) };
  const card = await cardOfRun({ record, names, source, written });
  await writeText((file) => store.sink(file), CARD_FILE, card);
}

/** The card of a result. */
export async function cardOfRun(
  { record, names, source, written, scores = null }: CardOfRun,
): Promise<string> {
  return await modelCard({
    source: {
      ...source,
      title: names.model,
      terms: record.files.filter((file) => fateOf(file) === "terms"),
    },
    ...factsOfRecord(record, names),
    readers: {
      family: String(written.stored.whole?.config.model_type ?? written.family.modelType),
      images: written.stored.whole !== null,
      customCode: written.config.auto_map !== undefined,
      ...await exportable(written),
    },
    scores,
  });
}

/** What is called somehow where nobody says what. */
function namesOf({ name, family }: Model): RunNames {
  const place = name.split(/[\\/]/).filter((part) => part !== "").at(-1);
  const text = "a text of the program that pruned";
  return { model: place ?? family.modelType, calibration: text, heldOut: text };
}

/** What a record says of all that a card says. */
function factsOfRecord(
  record: RunRecord,
  names: RunNames,
): Omit<CardFacts, "source" | "readers" | "scores"> {
  const { flags, calibrationDigest, perplexity, recovery, latency } = record;
  const texts = heldOutTexts(record);
  return {
    ratio: record.ratio,
    sizes: { parameters: record.parameters, bytes: record.bytes },
    layers: record.layers,
    texts: {
      calibration: {
        name: names.calibration,
        samples: flags.samples,
        tokens: flags.seqLen,
        seed: flags.seed,
        perplexity: perplexity.calibration,
      },
      heldOut: {
        name: names.heldOut,
        tokens: heldOutLength(flags, texts.length),
        perplexity: perplexity.heldOut,
        texts,
      },
    },
    method: {
      version: record.version,
      steps: record.plan === null ? record.steps : null,
      criterion: criterionOf(flags.criterion).is,
      uniform: flags.uniform,
      refitted: recovery && { kept: recovery.kept, tried: recovery.tried },
      dequantised: record.quantised && DTYPE_NAMES[dtypeOfQuantised(record.quantised)],
      milliseconds: latency && latency.measured,
    },
    digests: {
      "the dense model": record.modelDigest,
      "this model": record.prunedDigest,
      "calibration text": calibrationDigest.block,
      ...(calibrationDigest.width !== calibrationDigest.block && {
        "calibration text for channels and heads": calibrationDigest.width,
      }),
      "held-out text": record.heldOutDigest,
    },
    commands: commandsOfRun(record, AGAIN),
  };
}
