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
  /** Samples for blocks and for widths, drawn from Alpaca. */
  readonly samples: { readonly block: number; readonly width: number };
  readonly seqLen: number;
  readonly mlpGroup: number;
  readonly ratios: readonly number[];
  /** Questions of each task, the first ones. */
  readonly limit: number;
}

interface Row {
  readonly name: string;
  /** What is asked of `prune` besides the model, the text and the ratio. */
  readonly flags: readonly string[];
  /** Where it takes too long for all of them. */
  readonly ratios?: readonly number[];
}

const ROWS: readonly Row[] = [
  { name: "BlockPruner preset", flags: ["--preset", "blockpruner"] },
  { name: "MultiPruner preset", flags: ["--preset", "multipruner"] },
  { name: "Lopper defaults", flags: [], ratios: [20] },
  { name: "all together", flags: ["--distribution", "auto"], ratios: [20] },
];

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
  const calibration = `${work}/alpaca.jsonl`;
  await Deno.writeTextFile(calibration, await alpaca(`${options.data}/alpaca/alpaca_data.json.gz`));
  const texts = { wiki: `${work}/wikitext2.txt`, web: `${work}/c4.jsonl` };
  const lines = (await unzipped(`${options.data}/wikitext2/wiki.test.raw.gz`)).split("\n");
  // As the literature joins the rows of the data set: each with its newline, blank ones empty.
  const rows = lines.slice(0, Math.round(lines.length * WIKITEXT_SHARE))
    .map((line) => line.trim() === "" ? "" : `${line}\n`);
  await Deno.writeTextFile(texts.wiki, rows.join("\n\n"));
  await Deno.writeTextFile(texts.web, await unzipped(`${options.data}/c4/c4_sample.jsonl.gz`));

  const results: Result[] = [
    { row: "dense", ratio: 0, run: null, scores: await evaluate(options.model) },
  ];
  for (const ratio of options.ratios) {
    for (const { name, flags, ratios } of ROWS) {
      if (ratios && !ratios.includes(ratio)) continue;
      const out = `${work}/${name.replaceAll(/\W+/g, "-").toLowerCase()}-${ratio}`;
      const run = await prune(ratio, flags, out);
      results.push({ row: name, ratio, run, scores: await evaluate(out) });
      await keep();
    }
  }
  const page = pageOf(options, markdownTable(...table(results, texts)));
  const file = new URL("quality.md", import.meta.url);
  await Deno.writeTextFile(file, page);
  await output(Deno.execPath(), ["fmt", "--quiet", fileURLToPath(file)]);
  console.log(page);

  /** The raw figures, after every row, so that a long evening is not lost. */
  function keep() {
    const { model, data: _, ...rest } = options;
    const named = { ...rest, model: basename(model), calibration: "Alpaca" };
    return save(`quality-${options.name}`, { what: "quality", case: named, results });
  }

  async function prune(ratio: number, flags: readonly string[], out: string) {
    const exists = (path: string) => Deno.stat(path).then(() => true, () => false);
    if (!await exists(`${out}/run.json`)) {
      const begun = await exists(out);
      console.error(`${begun ? "going on with" : "running"} ${out}`);
      await lopper([
        ...["prune", options.model, "--json", "--out", out, "--ratio", String(ratio), ...flags],
        ...["--calibration", calibration, "--seq-len", String(options.seqLen)],
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

function pageOf({ samples, seqLen, mlpGroup, limit }: QualityCase, table: string): string {
  return `# What pruned models are worth

SmolLM2-135M-Instruct (README.md says where it comes from), pruned on ${samples.block} samples of Alpaca
for blocks and ${samples.width} for widths, ${seqLen} tokens a sequence, ${mlpGroup} MLP channels at a time, with the
fast search. Perplexity: windows of 2048 tokens of the first fifth of WikiText-2's test split and of
108 documents of C4. Tasks: the first ${limit} questions of each, in per cent with standard errors, acc_norm
where a task has it (acc for WinoGrande), scored as lm-evaluation-harness does. Seconds are those of
a machine that did other things, too.

${table}

Written by \`deno task bench quality --smollm2 DIR --data DATASETS --work FOLDER\`; every figure, and the
flags of every row, are in results/quality-smollm2.json.
`;
}

/** The measure that the literature gives for a task: acc_norm where it has one. */
function accuracy({ metrics }: Scores["tasks"][number]): Metric {
  return metrics.acc_norm ?? metrics.acc;
}

function table(
  results: readonly Result[],
  texts: { readonly wiki: string; readonly web: string },
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
    const ppl = (of: string) =>
      scores.texts.find(({ text }) => text === basename(of))!.perplexity.toFixed(2);
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
async function alpaca(path: string): Promise<string> {
  const rows: { instruction: string; input: string; output: string }[] = JSON.parse(
    await unzipped(path),
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

async function unzipped(path: string): Promise<string> {
  const file = await Deno.open(path);
  return await new Response(file.readable.pipeThrough(new DecompressionStream("gzip"))).text();
}
