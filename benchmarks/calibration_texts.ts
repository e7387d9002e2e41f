/**
 * Texts to calibrate on, from the folder of the data sets or by the model: each a list of samples.
 */
import { openBackend } from "@lopper/backends";
import { FileFolder } from "@lopper/files";
import { parseSamples } from "@lopper/importance";
import { modelDigest, openModel } from "@lopper/models";
import { REFIT_TOKENS } from "@lopper/recovery";
import { openTokenizer } from "@lopper/tokenizers";
import { selfCalibration } from "../apps/cli/prune/self_calibration.ts";
import { SELF_TOKENS } from "@lopper/run";
import { fileURLToPath } from "node:url";

/** So many rows of Alpaca are there to draw from. */
const ALPACA_ROWS = 2000;
/**
 * A passage of a book has so many characters at least, unless the book ends: about as many tokens
 * as an Alpaca row.
 */
const PASSAGE_CHARACTERS = 800;

/** The first rows of Alpaca, as the data set's own field `text`. */
export async function alpacaRows(data: string): Promise<readonly string[]> {
  const rows: { instruction: string; input: string; output: string }[] = JSON.parse(
    await unzipped(`${data}/alpaca/alpaca_data.json.gz`),
  );
  const asks = "Below is an instruction that describes a task";
  const ends = "Write a response that appropriately completes the request.";
  return rows.slice(0, ALPACA_ROWS).map(({ instruction, input, output }) => {
    const intro = input === ""
      ? `${asks}. ${ends}`
      : `${asks}, paired with an input that provides further context. ${ends}`;
    const given = input === "" ? "" : `\n\n### Input:\n${input}`;
    return `${intro}\n\n### Instruction:\n${instruction}${given}\n\n### Response:\n${output}`;
  });
}

/** The paragraphs of WikiText-2's validation split, without headings. */
export async function wikiParagraphs(data: string): Promise<readonly string[]> {
  return (await unzipped(`${data}/wikitext2/wiki.valid.raw.gz`)).split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("="));
}

/**
 * Passages of the books of Project Gutenberg that NLTK ships, without Moby Dick, which runs are
 * measured on.
 */
export async function bookPassages(data: string): Promise<readonly string[]> {
  const folder = `${data}/gutenberg`;
  const books = [...Deno.readDirSync(folder)].map(({ name }) => name)
    .filter((name) => !name.startsWith("melville")).sort();
  const passages: string[] = [];
  for (const book of books) {
    let passage = "";
    for (const paragraph of (await unzipped(`${folder}/${book}`)).split(/\r?\n\s*\n/)) {
      passage = `${passage}\n\n${paragraph.trim()}`.trim();
      if (passage.length < PASSAGE_CHARACTERS) continue;
      passages.push(passage);
      passage = "";
    }
    if (passage !== "") passages.push(passage);
  }
  return passages;
}

/** So many texts of a model's own: as much as repairs learn from at most. */
const OWN_TEXTS = REFIT_TOKENS / SELF_TOKENS;

/**
 * What `--calibration self` takes. It is kept among the results, as `own-text-NAME.jsonl`, and
 * written only where it is not there: a machine that rounds otherwise writes other texts, and all
 * rows of a table need the same.
 */
export async function ownTexts(path: string, name: string): Promise<readonly string[]> {
  const kept = fileURLToPath(new URL(`results/own-text-${name}.jsonl`, import.meta.url));
  const known = await Deno.readTextFile(kept).catch(() => null);
  if (known !== null) return parseSamples(known, kept);
  const texts = await writtenBy(path);
  await writeSamples(kept, texts);
  return texts;
}

async function writtenBy(path: string): Promise<readonly string[]> {
  const model = await openModel(new FileFolder(path));
  const { backend } = await openBackend("cpu", {});
  try {
    using tokenizer = await openTokenizer(model.folder);
    return await selfCalibration({
      model,
      modelDigest: await modelDigest(model),
      backend,
      tokenizer,
      seqLen: SELF_TOKENS,
      count: OWN_TEXTS,
      seed: 42,
      budget: Deno.systemMemoryInfo().available,
      onProgress: () => {},
    });
  } finally {
    await backend[Symbol.asyncDispose]();
  }
}

/** Writes samples as JSON objects a line. */
export async function writeSamples(file: string, samples: readonly string[]): Promise<void> {
  const lines = samples.map((text) => JSON.stringify({ text }) + "\n");
  await Deno.writeTextFile(file, lines.join(""));
}

/** The text of a file that gzip made. */
export async function unzipped(path: string | URL): Promise<string> {
  const file = await Deno.open(path);
  return await new Response(file.readable.pipeThrough(new DecompressionStream("gzip"))).text();
}
