import {
  alpacaRows,
  ownTexts,
  unzipped,
  wikiParagraphs,
  writeSamples,
} from "../calibration_texts.ts";
import type { RowName } from "./rows.ts";

export interface QualityCase {
  readonly name: string;
  readonly model: string;
  /**
   * Folder of the data sets, as `lopper evaluate --data` reads it, with alpaca/ and c4/ beside the
   * tasks.
   */
  readonly data: string;
  /** What is calibrated on, in equal shares. */
  readonly calibration: readonly (keyof typeof CALIBRATION)[];
  /** Samples for blocks and for widths. */
  readonly samples: { readonly block: number; readonly width: number };
  readonly seqLen: number;
  readonly mlpGroup: number;
  /** In the order in which they are taken; of rows that are taken already, only the figures. */
  readonly rows: readonly { readonly ratio: number; readonly names: readonly RowName[] }[];
  /**
   * Of the texts that perplexity is measured on, the first part: of WikiText-2's test split, and of
   * 108 documents of C4.
   */
  readonly shares: { readonly wiki: number; readonly web: number };
  /** Questions of each task, the first ones. */
  readonly limit: number;
}

/** Texts to calibrate on, as JSON objects a line. */
const CALIBRATION = {
  "Alpaca": { file: "alpaca.jsonl", of: ({ data }: QualityCase) => alpacaRows(data) },
  "WikiText-2 (validation)": {
    file: "wiki_valid.jsonl",
    of: ({ data }: QualityCase) => wikiParagraphs(data),
  },
  "the model's own text": {
    file: "own.jsonl",
    of: ({ model, name }: QualityCase) => ownTexts(model, name),
  },
} as const;
/** What perplexity is measured on. */
export const TEXTS = { wiki: "wikitext2.txt", web: "c4.jsonl" } as const;
/** Writes what runs calibrate on, and returns the options that name it. */
export async function writeCalibration(
  options: QualityCase,
  work: string,
): Promise<readonly string[]> {
  const flags: string[] = [];
  for (const name of options.calibration) {
    const { file, of } = CALIBRATION[name];
    await writeSamples(`${work}/${file}`, await of(options));
    flags.push("--calibration", `${work}/${file}`);
  }
  return flags;
}

/** Writes the texts that perplexity is measured on, and says where. */
export async function writeTexts(
  { data, shares }: QualityCase,
  work: string,
): Promise<readonly string[]> {
  const texts = { wiki: `${work}/${TEXTS.wiki}`, web: `${work}/${TEXTS.web}` };
  const lines = (await unzipped(`${data}/wikitext2/wiki.test.raw.gz`)).split("\n");
  // As the literature joins the rows of the data set: each with its newline, blank ones empty.
  const rows = beginning(lines, shares.wiki).map((line) => line.trim() === "" ? "" : `${line}\n`);
  await Deno.writeTextFile(texts.wiki, rows.join("\n\n"));
  const documents = (await unzipped(`${data}/c4/c4_sample.jsonl.gz`)).trimEnd().split("\n");
  await Deno.writeTextFile(texts.web, beginning(documents, shares.web).join("\n") + "\n");
  return [texts.wiki, texts.web];
}

function beginning<T>(all: readonly T[], share: number): readonly T[] {
  return all.slice(0, Math.round(all.length * share));
}
