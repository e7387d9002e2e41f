/**
 * What pruned models are worth: perplexity of WikiText-2 and of web text (C4), and the five zero-shot tasks of the paper,
 * for the dense model and every row at every ratio. All rows are calibrated on the same samples. Runs and scores are kept in
 * a folder and not repeated, and those that were cut off go on; rows that results/ has already are not taken again, and
 * rows that were taken out of there take the plan that is kept there instead of a search.
 */
import {
  alpacaRows,
  ownTexts,
  unzipped,
  wikiParagraphs,
  writeSamples,
} from "./calibration_texts.ts";
import { exists, lopper, markdownTable, mean, output, provenance, save } from "./harness.ts";
import { keepPlan, writeKeptPlan } from "./kept_plans.ts";
import { differenceFrom, headlineOf, type Scores, scoresOf } from "./quality_scores.ts";
import { readJournal } from "../apps/cli/folder/run_journal.ts";
import type { Estimate } from "@lopper/evaluation";
import { SETTINGS } from "@lopper/run";
import { sideWork, sumOfCosts } from "@lopper/search";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";

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
  /** In the order in which they are taken; of rows that are taken already, only the figures. */
  readonly rows: readonly { readonly ratio: number; readonly names: readonly RowName[] }[];
  /** Of the texts that perplexity is measured on, the first part: of WikiText-2's test split, and of 108 documents of C4. */
  readonly shares: { readonly wiki: number; readonly web: number };
  /** Questions of each task, the first ones. */
  readonly limit: number;
}

interface Row {
  /** What is asked of `prune` besides the model, the text and the ratio. */
  readonly flags: readonly string[];
  /** A run whose plan is taken instead of a search: of another row, or the longer one of this row, where that is there. */
  readonly plan?: { readonly row?: RowName; readonly ratio?: number };
}
type RowName =
  | "BlockPruner preset"
  | "MultiPruner preset"
  | "distribution alone"
  | "order alone"
  | "repair alone"
  | "swaps alone"
  | "divergence alone"
  | "order and repair"
  | "all but divergence"
  | "Lopper defaults";

/** A search that takes one kind after another would begin otherwise for a smaller ratio; where all compete it would not. */
const PART: Row["plan"] = { ratio: 30 };
/** Blocks, channels and heads one after the other, as in the published search. */
const STAGED = ["--distribution", SETTINGS.multipruner.distribution];
/** Candidates and repairs judged by the loss of the text, as in the published search. */
const BY_TEXT = ["--criterion", SETTINGS.multipruner.criterion];
const ROWS: Readonly<Record<RowName, Row>> = {
  "BlockPruner preset": { flags: ["--preset", "blockpruner"], plan: PART },
  "MultiPruner preset": { flags: ["--preset", "multipruner"] },
  "distribution alone": {
    flags: ["--preset", "multipruner", "--distribution", "auto"],
    plan: PART,
  },
  "order alone": {
    flags: [...STAGED, ...BY_TEXT, "--recover", "none"],
    plan: { row: "order and repair" },
  },
  "repair alone": { flags: [...BY_TEXT, "--recover", "auto"], plan: { row: "MultiPruner preset" } },
  "swaps alone": { flags: ["--preset", "multipruner", "--swap", "auto"] },
  "divergence alone": { flags: ["--preset", "multipruner", "--criterion", "kl"] },
  "order and repair": { flags: [...STAGED, ...BY_TEXT] },
  "all but divergence": { flags: BY_TEXT, plan: PART },
  "Lopper defaults": { flags: [], plan: PART },
};

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
/** The results that the page is made of, by model. */
const RESULTS: Readonly<Record<string, readonly string[]>> = {
  "SmolLM2-135M-Instruct": ["smollm2", "smollm2-self", "smollm2-mixed"],
  "Qwen2.5-Coder-0.5B-Instruct": ["qwen-mixed"],
};

/** What perplexity is measured on. */
const TEXTS = { wiki: "wikitext2.txt", web: "c4.jsonl" } as const;
/** The row that every row of its ratio is compared with. */
const PUBLISHED: RowName = "MultiPruner preset";

export async function benchQuality(options: QualityCase, work: string): Promise<void> {
  await Deno.mkdir(work, { recursive: true });
  const calibration: string[] = [];
  for (const name of options.calibration) {
    const { file, of } = CALIBRATION[name];
    await writeSamples(`${work}/${file}`, await of(options));
    calibration.push("--calibration", `${work}/${file}`);
  }
  const texts = { wiki: `${work}/${TEXTS.wiki}`, web: `${work}/${TEXTS.web}` };
  const lines = (await unzipped(`${options.data}/wikitext2/wiki.test.raw.gz`)).split("\n");
  // As the literature joins the rows of the data set: each with its newline, blank ones empty.
  const rows = beginning(lines, options.shares.wiki)
    .map((line) => line.trim() === "" ? "" : `${line}\n`);
  await Deno.writeTextFile(texts.wiki, rows.join("\n\n"));
  const documents = (await unzipped(`${options.data}/c4/c4_sample.jsonl.gz`)).trimEnd().split("\n");
  await Deno.writeTextFile(texts.web, beginning(documents, options.shares.web).join("\n") + "\n");

  const { model, data: _, rows: wanted, ...rest } = options;
  const described = {
    ...rest,
    model: basename(model),
    calibration: rest.calibration.join(" and "),
  };
  const earlier = await readResults(options.name);
  if (earlier && !isDeepStrictEqual(earlier.case, described)) {
    throw new Error(
      `results/quality-${options.name}.json has rows of another case: ${
        JSON.stringify(earlier.case)
      }`,
    );
  }
  const results = [...earlier?.results ?? []];
  const searches = [...earlier?.searches ?? []];
  if (results.length === 0) results.push(await denseRow());
  for (const { ratio, names } of wanted) {
    for (const row of names) {
      if (results.some((result) => result.row === row && result.ratio === ratio)) continue;
      const out = pathOf(row, ratio);
      const run = await prune(row, ratio);
      const scores = await scoresOfTwin(out, ratio, run) ?? await evaluate(out);
      results.push({ row, ratio, run, scores, taken: await provenance() });
      // After every row, so that a long evening is not lost.
      results.sort((a, b) => a.ratio - b.ratio || rankOf(a.row) - rankOf(b.row));
      const data = { what: "quality", case: described, results, searches };
      await save(`quality-${options.name}`, data);
      await writeQualityPage();
    }
  }
  console.log(await writeQualityPage());

  /** No text that is calibrated on makes a difference to it, so that another table may have it. */
  async function denseRow(): Promise<Result> {
    for (const name of Object.values(RESULTS).flat()) {
      const other = await readResults(name);
      const measured = (of: Saved["case"]) => [of.model, of.shares, of.limit];
      if (other && isDeepStrictEqual(measured(other.case), measured(described))) {
        return other.results.find(({ row }) => row === "dense")!;
      }
    }
    const scores = await evaluate(options.model);
    return { row: "dense", ratio: 0, run: null, scores, taken: await provenance() };
  }

  function nameOf(row: RowName, ratio: number) {
    return `${row.replaceAll(/\W+/g, "-").toLowerCase()}-${ratio}`;
  }

  function pathOf(row: RowName, ratio: number) {
    return `${work}/${nameOf(row, ratio)}`;
  }

  /** Runs what is not there yet, the run whose plan is taken first. */
  async function prune(row: RowName, ratio: number): Promise<Run> {
    const { flags, plan } = ROWS[row];
    const out = pathOf(row, ratio);
    const source = await sourceOf(row, ratio);
    if (!await exists(`${out}/run.json`)) {
      const begun = await exists(out);
      console.error(`${begun ? "going on with" : "running"} ${out}`);
      await lopper([
        ...["prune", model, "--json", "--out", out, ...flags],
        // The plan of a file has its ratio.
        ...(source?.search ? [] : ["--ratio", String(ratio)]),
        ...calibration,
        ...["--seq-len", String(options.seqLen)],
        ...["--mlp-group", String(options.mlpGroup)],
        ...["--samples", String(options.samples.block)],
        ...["--width-samples", String(options.samples.width)],
        ...(source ? ["--plan", source.path] : []),
        // A plan's folder that was cut off holds nothing to go on with.
        ...(begun ? [source ? "--overwrite" : "--resume"] : []),
      ]);
    }
    const record = JSON.parse(await Deno.readTextFile(`${out}/run.json`));
    // A plan costs what its search did, for a smaller ratio, too: the search was for the larger one.
    const own = await workOf(out);
    const search = source?.search ?? (source ? await workOf(source.path) : own).search;
    const { repairs } = own;
    if (!source?.search) {
      await keepPlan(`${options.name}/${nameOf(row, ratio)}`, out);
      searches.push({ row, ratio, search });
    }
    return {
      command: flags,
      ...(source && plan && { plan }),
      search,
      repairs,
      calibration: record.perplexity.calibration,
    };
  }

  /**
   * What a row takes its plan from: a file, with what its search cost, or the folder of a longer run. Null where it makes a
   * search of its own.
   */
  async function sourceOf(
    row: RowName,
    ratio: number,
  ): Promise<{ readonly path: string; readonly search?: Work } | null> {
    const { plan } = ROWS[row];
    const from = plan?.row ?? row;
    const kept = searches.find((search) => search.row === from && search.ratio === ratio);
    if (kept) {
      const path = `${pathOf(from, ratio)}.plan.json`;
      await writeKeptPlan(`${options.name}/${nameOf(from, ratio)}`, path);
      return { path, search: kept.search };
    }
    if (plan?.row) {
      await prune(plan.row, ratio);
      return await sourceOf(row, ratio);
    }
    // Who wants a row before there is the longer run gets a search of its own.
    const longer = plan?.ratio !== undefined && plan.ratio !== ratio && pathOf(row, plan.ratio);
    return longer && await exists(`${longer}/run.json`) ? { path: longer } : null;
  }

  /**
   * Scores of the published search where a run that repaired nothing came to the very same plan, and so to the same model
   * (swaps of which none is kept). Null where it is another model.
   */
  async function scoresOfTwin(out: string, ratio: number, run: Run): Promise<Scores | null> {
    const published = results.find((result) => result.row === PUBLISHED && result.ratio === ratio);
    const kept = await sourceOf(PUBLISHED, ratio);
    if (!published || !kept || run.repairs?.blockTokens) return null;
    const [plan, other] = await Promise.all(
      [`${out}/lopper_plan.json`, kept.path].map((path) => Deno.readTextFile(path)),
    );
    return plan === other ? published.scores : null;
  }

  async function evaluate(model: string): Promise<Scores> {
    console.error(`evaluating ${model}`);
    return await scoresOf(model, {
      data: options.data,
      texts: [texts.wiki, texts.web],
      limit: options.limit,
      out: `${work}/scores/${basename(model)}`,
    });
  }
}

interface Run {
  readonly command: readonly string[];
  readonly plan?: Row["plan"];
  readonly search: Work;
  readonly repairs: Work | null;
  /** Perplexity on the samples for blocks. */
  readonly calibration: { readonly dense: number };
}

interface Result {
  readonly row: RowName | "dense";
  readonly ratio: number;
  readonly run: Run | null;
  readonly scores: Scores;
  /** Rows are taken on several days. */
  readonly taken: Awaited<ReturnType<typeof provenance>>;
}

/** A search whose plan is kept in results/plans. */
interface Search {
  readonly row: RowName;
  readonly ratio: number;
  readonly search: Work;
}

interface Work {
  readonly blockTokens: number;
  /** Null in rows of a time when they were not told apart from the rest of the run. */
  readonly seconds: number | null;
}

/**
 * What a run's search took, with orders, swaps and what the dense model was asked for it (whose seconds nobody wrote down),
 * and what its repairs did.
 */
async function workOf(run: string): Promise<Readonly<Record<"search" | "repairs", Work>>> {
  const { history } = (await readJournal(run))!;
  const { orders, swaps, repairs } = sideWork(history);
  const search = [...history.evidence, ...history.measures].map(({ cost }) => cost);
  const { blockTokens } = JSON.parse(await Deno.readTextFile(`${run}/run.json`));
  const asked = { blockTokens: blockTokens.beside.predictions, seconds: 0 };
  return { search: [...search, orders, swaps, asked].reduce(sumOfCosts), repairs };
}

/** Where a row stands in the table. */
function rankOf(row: Result["row"]): number {
  return row === "dense" ? -1 : Object.keys(ROWS).indexOf(row);
}

async function readResults(name: string): Promise<Saved | null> {
  const file = new URL(`results/quality-${name}.json`, import.meta.url);
  const text = await Deno.readTextFile(file).catch(() => null);
  return text === null ? null : JSON.parse(text);
}

/** Writes quality.md, of the results that there are. */
export async function writeQualityPage(): Promise<string> {
  const file = new URL("quality.md", import.meta.url);
  await Deno.writeTextFile(file, await pageOf());
  await output(Deno.execPath(), ["fmt", "--quiet", fileURLToPath(file)]);
  return await Deno.readTextFile(file);
}

/** A page of the results that there are. */
async function pageOf(): Promise<string> {
  const sections: string[] = [];
  for (const [model, names] of Object.entries(RESULTS)) {
    for (const name of names) {
      const results = await readResults(name);
      if (results) sections.push(sectionOf(model, name, results));
    }
  }
  return `# What pruned models are worth

Two models (README.md says where they come from), pruned with the fast search. Perplexity:
windows of 2048 tokens of the beginning of WikiText-2's test split and of the first of 108 documents of C4. Tasks:
the first questions of each, in per cent with standard errors, acc_norm where a task has it (acc for
WinoGrande), scored as lm-evaluation-harness does. Seconds are those of machines that did other
things, too. All rows of a table are calibrated on the same text, and were taken one after the other
over some days; the results say at which commit.

"alone" is one thing added to the MultiPruner preset: the order of channels and heads (\`--order auto\`),
repair (\`--recover auto\`), the competition of blocks, channels and heads (\`--distribution auto\`),
swaps (\`--swap auto\`), or candidates judged by how far their predictions are from the dense model's instead of by the text
(\`--criterion kl\`). The defaults are all of them but swaps. A row whose
search is a part of a longer one, or that of another row, took that run's plan (\`--plan\`); what is
counted then is the whole of that search.

${sections.join("\n")}
Written by \`deno task bench quality --smollm2 DIR --data DATASETS --work FOLDER [--text self|mixed]\`
(or \`--qwen DIR --text mixed\`).
`;
}

interface Saved {
  readonly case: Omit<QualityCase, "calibration" | "data" | "rows"> & {
    readonly calibration: string;
  };
  readonly results: readonly Result[];
  /** Results of before have none. */
  readonly searches?: readonly Search[];
}

function sectionOf(model: string, name: string, { case: of, results }: Saved): string {
  const { calibration, samples, seqLen, mlpGroup, shares, limit } = of;
  const percent = (share: number) => `${Math.round(100 * share)} %`;
  return `## ${model}, calibrated on ${calibration}

${samples.block} samples for blocks and ${samples.width} for widths, ${seqLen} tokens a sequence, ${mlpGroup} MLP
channels at a time. Measured on ${percent(shares.wiki)} of WikiText-2, ${
    percent(shares.web)
  } of the documents of C4 and ${limit} questions a task. Every figure, and the flags of every row:
results/quality-${name}.json.

${drawsOf(results)}${markdownTable(...table(results, TEXTS))}
${comparison(results)}`;
}

/** Every row against the published search of the same ratio, where the questions and windows of both are kept. */
function comparison(results: readonly Result[]): string {
  const rows = results.flatMap(({ row, ratio, scores }) => {
    const published = results.find((other) => other.row === PUBLISHED && other.ratio === ratio);
    if (!published || row === PUBLISHED) return [];
    const difference = differenceFrom(published.scores, scores);
    if (!difference) return [];
    return [[
      row,
      `${ratio} %`,
      ...difference.texts.map((ratio) => interval(ratio, (x) => x.toFixed(2))),
      interval(difference.tasks, (x) => `${x < 0 ? "−" : "+"}${Math.abs(100 * x).toFixed(1)}`),
    ]];
  });
  if (rows.length === 0) return "";
  const head = [
    "row",
    "removed",
    "WikiText-2: times its ppl",
    "C4: times its ppl",
    "tasks: points",
  ];
  return `
Against the ${PUBLISHED} of the same ratio, window by window and question by question, with 95 %
confidence intervals (Student's t; the texts have few windows):

${markdownTable(head, rows)}
`;
}

function interval({ value, low, high }: Estimate, format: (x: number) => string): string {
  return low === null || high === null
    ? format(value)
    : `${format(value)} [${format(low)}, ${format(high)}]`;
}

/** Says so where rows had unlike samples, which the dense model's perplexity on them tells. */
function drawsOf(results: readonly Result[]): string {
  const draws = Map.groupBy(
    results.flatMap(({ row, ratio, run }) =>
      run ? [{ name: `${row} ${ratio} %`, dense: run.calibration.dense.toPrecision(2) }] : []
    ),
    ({ dense }) => dense,
  );
  if (draws.size < 2) return "";
  const list = [...draws].map(([dense, rows]) =>
    `${dense} for ${rows.map(({ name }) => name).join(", ")}`
  );
  return `**Not all rows had the same samples**: the dense model's perplexity on them is about ${
    list.join("; ")
  }.\n\n`;
}

function beginning<T>(all: readonly T[], share: number): readonly T[] {
  return all.slice(0, Math.round(all.length * share));
}

function table(
  results: readonly Result[],
  texts: typeof TEXTS,
): [string[], string[][]] {
  const { tasks } = results[0].scores;
  const percent = (value: number, stderr: number) =>
    `${(100 * value).toFixed(1)} ± ${(100 * stderr).toFixed(1)}`;
  const head = [
    ...["row", "removed", "parameters", "WikiText-2 ppl", "C4 ppl"],
    ...tasks.map(({ task }) => task),
    ...["average", "search: block-tokens", "search: s", "repairs: s"],
  ];
  const rows = results.map(({ row, ratio, run, scores }) => {
    const found = tasks.map(({ task }) => headlineOf(scores.tasks.find((s) => s.task === task)!));
    const errors = found.map(({ stderr }) => stderr ?? 0);
    const ppl = (of: string) => scores.texts.find(({ text }) => text === of)!.perplexity.toFixed(2);
    return [
      row,
      `${ratio} %`,
      `${(scores.parameters / 1e6).toFixed(1)} M`,
      ppl(texts.wiki),
      ppl(texts.web),
      ...found.map(({ value }, i) => percent(value, errors[i])),
      percent(mean(found.map(({ value }) => value)), Math.hypot(...errors) / found.length),
      run ? `${(run.search.blockTokens / 1e6).toFixed(1)} M` : "",
      run?.search.seconds?.toFixed(0) ?? "",
      run?.repairs?.seconds?.toFixed(0) ?? "",
    ];
  });
  return [head, rows];
}
