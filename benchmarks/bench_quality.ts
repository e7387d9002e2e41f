/**
 * What pruned models are worth: perplexity of WikiText-2 and of web text (C4), and the five zero-shot tasks of the paper,
 * for the dense model and every row at every ratio. All rows are calibrated on the same samples. Runs and scores are kept in
 * a folder and not repeated, and those that were cut off go on.
 */
import { lopper, markdownTable, output, save } from "./harness.ts";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

export interface QualityCase {
  readonly name: string;
  readonly model: string;
  /** Folder of the data sets, as `lopper evaluate --data` reads it, with alpaca/ and c4/ beside the tasks. */
  readonly data: string;
  /** What is calibrated on, in equal shares. */
  readonly calibration: readonly (keyof typeof CALIBRATION)[];
  /** Samples for blocks and for widths. */
  readonly samples: { readonly block: number; readonly width: number };
  readonly seqLen: number;
  readonly mlpGroup: number;
  readonly rows: readonly { readonly ratio: number; readonly names: readonly RowName[] }[];
  /** Questions of each task, the first ones. */
  readonly limit: number;
}

/** What is asked of `prune` besides the model, the text and the ratio. */
const FLAGS = {
  "BlockPruner preset": ["--preset", "blockpruner"],
  "MultiPruner preset": ["--preset", "multipruner"],
  "Lopper defaults": [],
  "all together": ["--distribution", "auto"],
} as const satisfies Readonly<Record<string, readonly string[]>>;
type RowName = keyof typeof FLAGS;

/** Texts to calibrate on, as JSON objects a line, from the folder of the data sets. */
const CALIBRATION = {
  "Alpaca": { file: "alpaca.jsonl", of: alpaca },
  "WikiText-2 (validation)": { file: "wiki_valid.jsonl", of: wikiParagraphs },
} as const;
/** The results that the page is made of. */
const RESULTS = ["quality-smollm2", "quality-smollm2-mixed"] as const;

/** What perplexity is measured on. */
const TEXTS = { wiki: "wikitext2.txt", web: "c4.jsonl" } as const;
/** So many rows of Alpaca are there to draw from. */
const ALPACA_ROWS = 2000;
/** Of WikiText-2's test split the first fifth: about 67,000 tokens. */
const WIKITEXT_SHARE = 1 / 5;
const TASKS = "piqa,winogrande,hellaswag,arc_easy,arc_challenge";

interface Metric {
  readonly value: number;
  readonly stderr: number;
}

interface Scores {
  readonly parameters: number;
  readonly texts: readonly { readonly text: string; readonly perplexity: number }[];
  readonly tasks: readonly {
    readonly task: string;
    readonly questions: number;
    readonly metrics: Readonly<Record<string, Metric>>;
  }[];
}

export async function benchQuality(options: QualityCase, work: string): Promise<void> {
  await Deno.mkdir(work, { recursive: true });
  const calibration: string[] = [];
  for (const name of options.calibration) {
    const { file, of } = CALIBRATION[name];
    await Deno.writeTextFile(`${work}/${file}`, await of(options.data));
    calibration.push("--calibration", `${work}/${file}`);
  }
  const texts = { wiki: `${work}/${TEXTS.wiki}`, web: `${work}/${TEXTS.web}` };
  const lines = (await unzipped(`${options.data}/wikitext2/wiki.test.raw.gz`)).split("\n");
  // As the literature joins the rows of the data set: each with its newline, blank ones empty.
  const rows = lines.slice(0, Math.round(lines.length * WIKITEXT_SHARE))
    .map((line) => line.trim() === "" ? "" : `${line}\n`);
  await Deno.writeTextFile(texts.wiki, rows.join("\n\n"));
  await Deno.writeTextFile(texts.web, await unzipped(`${options.data}/c4/c4_sample.jsonl.gz`));

  const results: Result[] = [
    { row: "dense", ratio: 0, run: null, scores: await evaluate(options.model) },
  ];
  for (const { ratio, names } of options.rows) {
    for (const name of names) {
      const flags = FLAGS[name];
      const out = `${work}/${name.replaceAll(/\W+/g, "-").toLowerCase()}-${ratio}`;
      const run = await prune(ratio, flags, out);
      results.push({ row: name, ratio, run, scores: await evaluate(out) });
      await keep();
    }
  }
  const page = await pageOf(RESULTS);
  const file = new URL("quality.md", import.meta.url);
  await Deno.writeTextFile(file, page);
  await output(Deno.execPath(), ["fmt", "--quiet", fileURLToPath(file)]);
  console.log(page);

  /** The raw figures, after every row, so that a long evening is not lost. */
  function keep() {
    const { model, data: _, ...rest } = options;
    const named = { ...rest, model: basename(model), calibration: rest.calibration.join(" and ") };
    return save(`quality-${options.name}`, { what: "quality", case: named, results });
  }

  async function prune(ratio: number, flags: readonly string[], out: string) {
    const exists = (path: string) => Deno.stat(path).then(() => true, () => false);
    if (!await exists(`${out}/run.json`)) {
      const begun = await exists(out);
      console.error(`${begun ? "going on with" : "running"} ${out}`);
      await lopper([
        ...["prune", options.model, "--json", "--out", out, "--ratio", String(ratio), ...flags],
        ...calibration,
        ...["--seq-len", String(options.seqLen)],
        ...["--mlp-group", String(options.mlpGroup)],
        ...["--samples", String(options.samples.block)],
        ...["--width-samples", String(options.samples.width)],
        ...(begun ? ["--resume"] : []),
      ]);
    }
    const record = JSON.parse(await Deno.readTextFile(`${out}/run.json`));
    return {
      command: flags,
      blockTokens: record.blockTokens.spent as number,
      seconds: record.wallSeconds as number,
      calibration: record.perplexity.calibration,
    };
  }

  async function evaluate(model: string): Promise<Scores> {
    console.error(`evaluating ${model}`);
    const printed = await lopper([
      ...["evaluate", model, "--tasks", TASKS, "--data", options.data],
      ...["--perplexity", texts.wiki, "--perplexity", texts.web, "--limit", String(options.limit)],
      ...["--out", `${work}/scores/${basename(model)}`, "--json"],
    ]);
    const result = printed.split("\n").map((line) => JSON.parse(line))
      .find(({ event }) => event === "result");
    const scores: Scores = result.models[0];
    // Where the files lie says nothing of the models.
    const named = scores.texts.map((text) => ({ ...text, text: basename(text.text) }));
    return { ...scores, texts: named };
  }
}

interface Result {
  readonly row: string;
  readonly ratio: number;
  readonly run: { readonly blockTokens: number; readonly seconds: number } | null;
  readonly scores: Scores;
}

/** A page of the results that there are. */
async function pageOf(names: readonly string[]): Promise<string> {
  const sections: string[] = [];
  for (const name of names) {
    const file = new URL(`results/${name}.json`, import.meta.url);
    const text = await Deno.readTextFile(file).catch(() => null);
    if (text !== null) sections.push(sectionOf(name, JSON.parse(text)));
  }
  return `# What pruned models are worth

SmolLM2-135M-Instruct (README.md says where it comes from), pruned with the fast search. Perplexity:
windows of 2048 tokens of the first fifth of WikiText-2's test split and of 108 documents of C4. Tasks:
the first questions of each, in per cent with standard errors, acc_norm where a task has it (acc for
WinoGrande), scored as lm-evaluation-harness does. Seconds are those of a machine that did other
things, too. All rows of a table are calibrated on the same text.

${sections.join("\n")}
Written by \`deno task bench quality --smollm2 DIR --data DATASETS --work FOLDER [--text mixed]\`.
`;
}

interface Saved {
  readonly case: Omit<QualityCase, "calibration"> & { readonly calibration: string };
  readonly results: readonly Result[];
}

function sectionOf(name: string, { case: of, results }: Saved): string {
  const { calibration, samples, seqLen, mlpGroup, limit } = of;
  return `## Calibrated on ${calibration}

${samples.block} samples for blocks and ${samples.width} for widths, ${seqLen} tokens a sequence, ${mlpGroup} MLP
channels at a time, ${limit} questions a task. Every figure, and the flags of every row:
results/${name}.json.

${markdownTable(...table(results, TEXTS))}
`;
}

/** The measure that the literature gives for a task: acc_norm where it has one. */
function accuracy({ metrics }: Scores["tasks"][number]): Metric {
  return metrics.acc_norm ?? metrics.acc;
}

function table(
  results: readonly Result[],
  texts: typeof TEXTS,
): [string[], string[][]] {
  const { tasks } = results[0].scores;
  const percent = ({ value, stderr }: Metric) =>
    `${(100 * value).toFixed(1)} ± ${(100 * stderr).toFixed(1)}`;
  const head = [
    ...["row", "removed", "parameters", "WikiText-2 ppl", "C4 ppl"],
    ...tasks.map(({ task }) => task),
    ...["average", "block-tokens", "seconds"],
  ];
  const rows = results.map(({ row, ratio, run, scores }) => {
    const found = tasks.map(({ task }) => accuracy(scores.tasks.find((s) => s.task === task)!));
    const average = found.reduce((sum, { value }) => sum + value, 0) / found.length;
    const stderr = Math.hypot(...found.map((metric) => metric.stderr)) / found.length;
    const ppl = (of: string) => scores.texts.find(({ text }) => text === of)!.perplexity.toFixed(2);
    return [
      row,
      `${ratio} %`,
      `${(scores.parameters / 1e6).toFixed(1)} M`,
      ppl(texts.wiki),
      ppl(texts.web),
      ...found.map(percent),
      percent({ value: average, stderr }),
      run ? `${(run.blockTokens / 1e6).toFixed(1)} M` : "",
      run ? run.seconds.toFixed(0) : "",
    ];
  });
  return [head, rows];
}

/** The first rows of Alpaca as the data set's own field `text`, one JSON object a line. */
async function alpaca(data: string): Promise<string> {
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
    const text = `${intro}\n\n### Instruction:\n${instruction}${given}\n\n### Response:\n${output}`;
    return JSON.stringify({ text }) + "\n";
  }).join("");
}

/** The paragraphs of WikiText-2's validation split, without headings, one JSON object a line. */
async function wikiParagraphs(data: string): Promise<string> {
  return (await unzipped(`${data}/wikitext2/wiki.valid.raw.gz`)).split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("="))
    .map((text) => JSON.stringify({ text }) + "\n").join("");
}

async function unzipped(path: string): Promise<string> {
  const file = await Deno.open(path);
  return await new Response(file.readable.pipeThrough(new DecompressionStream("gzip"))).text();
}
