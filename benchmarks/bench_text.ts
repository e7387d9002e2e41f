/**
 * How much text a run needs, and of what kind: the default settings at one ratio, on more and more
 * passages of books, and on as many of other texts. Every result is measured on three texts that no
 * run saw.
 */
import {
  alpacaRows,
  bookPassages,
  unzipped,
  wikiParagraphs,
  writeSamples,
} from "./calibration_texts.ts";
import { inTemporaryFolder, lopper, mean, printTable, save } from "./harness.ts";
import { HELD_OUT_TEXT } from "@lopper/demo-model";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

export interface TextCase {
  readonly name: string;
  readonly model: string;
  /** Folder of the data sets, as for "quality", with gutenberg/ beside the others. */
  readonly data: string;
  readonly ratio: number;
  readonly seqLen: number;
  /** Samples of books that blocks are scored on; channels and heads are scored on half as many. */
  readonly sizes: readonly number[];
  /** Samples of every kind of text. */
  readonly kindSize: number;
  readonly seeds: readonly number[];
}

/** Characters of each text that results are measured on. */
const MEASURED_CHARACTERS = 30_000;

interface TextRun {
  readonly seed: number;
  /** Of the sequences that blocks were scored on. */
  readonly tokens: number;
  readonly blockTokens: number;
  readonly seconds: number;
  readonly calibration: { readonly dense: number; readonly pruned: number };
  /** Perplexity by text. */
  readonly perplexity: Readonly<Record<string, number>>;
}

/** What is calibrated on, and how many samples of it. */
interface Variant {
  readonly kind: string;
  readonly samples: number;
  /** Options of `lopper prune` that name it. */
  readonly calibration: readonly string[];
}

interface VariantResult extends Omit<Variant, "calibration"> {
  readonly runs: readonly TextRun[];
}

export async function benchText(options: TextCase): Promise<void> {
  const { data, model } = options;
  const { dense, results } = await inTemporaryFolder(async (folder) => {
    const variants = variantsOf(options, await writtenCalibration(data, folder));
    const measured = await measuredTexts(data, folder);
    const dense = await perplexities(model, measured);
    const results: VariantResult[] = [];
    for (const variant of variants) {
      const { kind, samples } = variant;
      const runs: TextRun[] = [];
      for (const seed of options.seeds) {
        console.error(`${kind}, ${samples} samples, seed ${seed}`);
        const out = `${folder}/run`;
        await pruneTo(out, options, variant, seed);
        const perplexity = await perplexities(out, measured);
        runs.push({ seed, ...await readTextRun(out, options.seqLen), perplexity });
      }
      results.push({ kind, samples, runs });
      // After every text, so that a long evening is not lost.
      await save(`text-${options.name}`, {
        what: "how much calibration text, and of what kind",
        case: { ...options, model: basename(model), data: basename(data) },
        dense,
        results,
      });
    }
    return { dense, results };
  });
  printResults(dense, results);
}

/** Writes what can be calibrated on, and returns the options that name it, by kind of text. */
async function writtenCalibration(data: string, folder: string) {
  const files = { books: bookPassages, Alpaca: alpacaRows, "WikiText-2": wikiParagraphs };
  for (const [name, of] of Object.entries(files)) {
    await writeSamples(`${folder}/${name}.jsonl`, await of(data));
  }
  const of = (name: string) => ["--calibration", `${folder}/${name}.jsonl`];
  return {
    books: of("books"),
    Alpaca: of("Alpaca"),
    "WikiText-2": of("WikiText-2"),
    "all three": [...of("books"), ...of("Alpaca"), ...of("WikiText-2")],
    "the model's own": ["--calibration", "self"],
  };
}

/** Books in every size, and every kind in one. */
function variantsOf(
  { sizes, kindSize }: TextCase,
  kinds: Awaited<ReturnType<typeof writtenCalibration>>,
): readonly Variant[] {
  return [
    ...sizes.map((samples) => ({ kind: "books", samples, calibration: kinds.books })),
    ...Object.entries(kinds)
      .filter(([kind]) => !(kind === "books" && sizes.includes(kindSize)))
      .map(([kind, calibration]) => ({ kind, samples: kindSize, calibration })),
  ];
}

async function pruneTo(
  out: string,
  { model, ratio, seqLen }: TextCase,
  { samples, calibration }: Variant,
  seed: number,
) {
  await lopper([
    ...["prune", model, "--json", "--out", out, "--overwrite", "--ratio", String(ratio)],
    ...calibration,
    // Shares, so that results of before the kinds competed by default stay comparable.
    ...["--distribution", "44:52:4"],
    ...["--samples", String(samples), "--width-samples", String(samples / 2)],
    ...["--seq-len", String(seqLen), "--seed", String(seed)],
  ]);
}

/** Perplexity of a model on each of these texts, by the name of its file. */
async function perplexities(
  path: string,
  measured: readonly string[],
): Promise<TextRun["perplexity"]> {
  const texts = measured.flatMap((file) => ["--perplexity", file]);
  const printed = await lopper(["evaluate", path, ...texts, "--json"]);
  const { models } = printed.split("\n").map((line) => JSON.parse(line))
    .find(({ event }) => event === "result");
  return Object.fromEntries(
    models[0].texts.map(({ text, perplexity }: { text: string; perplexity: number }) => [
      basename(text, ".txt"),
      perplexity,
    ]),
  );
}

function printResults(dense: TextRun["perplexity"], results: readonly VariantResult[]) {
  const texts = Object.keys(dense);
  printTable(
    ["calibrated on", "samples", "tokens", ...texts, "block-tokens", "s"],
    [
      ["dense", "", "", ...texts.map((text) => dense[text].toFixed(2)), "", ""],
      ...results.map(({ kind, samples, runs }) => [
        ...[kind, samples, mean(runs.map((run) => run.tokens)).toFixed(0)],
        ...texts.map((text) => spread(runs.map(({ perplexity }) => perplexity[text]))),
        `${(mean(runs.map((run) => run.blockTokens)) / 1e6).toFixed(2)} M`,
        mean(runs.map((run) => run.seconds)).toFixed(0),
      ]),
    ],
  );
}

/** The mean, and the least and the most where there are several. */
function spread(values: readonly number[]): string {
  const figure = (value: number) => value.toFixed(2);
  return values.length === 1
    ? figure(values[0])
    : `${figure(mean(values))} (${figure(Math.min(...values))} to ${figure(Math.max(...values))})`;
}

/** Writes the beginnings of texts that no run calibrates on, and says where. */
async function measuredTexts(data: string, folder: string): Promise<readonly string[]> {
  const c4 = (await unzipped(`${data}/c4/c4_sample.jsonl.gz`)).split("\n")
    .filter((line) => line !== "").map((line) => JSON.parse(line).text).join("\n\n");
  const texts = {
    "Moby Dick": await Deno.readTextFile(fileURLToPath(HELD_OUT_TEXT)),
    "WikiText-2 (test)": await unzipped(`${data}/wikitext2/wiki.test.raw.gz`),
    C4: c4,
  };
  const files: string[] = [];
  for (const [name, text] of Object.entries(texts)) {
    const file = `${folder}/${name}.txt`;
    await Deno.writeTextFile(file, text.slice(0, MEASURED_CHARACTERS));
    files.push(file);
  }
  return files;
}

async function readTextRun(
  folder: string,
  seqLen: number,
): Promise<Omit<TextRun, "seed" | "perplexity">> {
  const record = JSON.parse(await Deno.readTextFile(`${folder}/run.json`));
  const { spent, overhead } = record.blockTokens;
  return {
    tokens: record.lossIncrease.calibration.passages.length * seqLen,
    blockTokens: spent + Object.values<number>(overhead).reduce((sum, tokens) => sum + tokens, 0),
    seconds: record.wallSeconds,
    calibration: record.perplexity.calibration,
  };
}
