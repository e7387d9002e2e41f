/** The page quality.md, of the results that there are. */
import type { Estimate } from "@lopper/evaluation";
import { SETTINGS, type SettingsName } from "@lopper/run";
import { fileURLToPath } from "node:url";
import { markdownTable, mean, output } from "../harness.ts";
import { TEXTS } from "./case.ts";
import { readResults, type Result, RESULTS, type Run, type SavedResults } from "./results.ts";
import { PUBLISHED } from "./rows.ts";
import { differenceFrom, headlineOf } from "./scores.ts";

/** Writes quality.md, of the results that there are. */
export async function writeQualityPage(): Promise<string> {
  const file = new URL("../quality.md", import.meta.url);
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

Models (README.md says where they come from) that were pruned with the fast search. Perplexity:
windows of 2048 tokens of the beginning of WikiText-2's test split and of the first of 108 documents of C4. Tasks:
the first questions of each, in per cent with standard errors, acc_norm where a task has it (acc for
WinoGrande), scored as lm-evaluation-harness does. Seconds are those of machines that did other
things, too. All rows of a table are calibrated on the same text, and were taken one after the other
over some days; the results say at which commit.

"alone" is one thing added to the MultiPruner preset: "order", the ranking of channels and heads (\`--ranking auto\`),
repair (\`--recover auto\`), the competition of blocks, channels and heads (\`--distribution auto\`),
swaps (\`--swap auto\`), or candidates judged by how far their predictions are from the dense model's instead of by the text
(\`--criterion kl\`). The defaults are all of them but swaps. A row whose
search is a part of a longer one, or that of another row, took that run's plan (\`--plan\`); what is
counted then is the whole of that search.

${sections.join("\n")}
Written by \`deno task bench quality --smollm2 DIR --data DATASETS --work FOLDER [--text self|mixed]\`
(or \`--qwen DIR\` or \`--gemma DIR\`, with \`--text mixed\`).
`;
}

function sectionOf(model: string, name: string, { case: of, results }: SavedResults): string {
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

/**
 * Every row against the published search of the same ratio, where the questions and windows of both
 * are kept.
 */
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

/**
 * Says so where rows had unlike samples, or began them otherwise with BOS: the dense model's
 * perplexity on them tells.
 */
function drawsOf(results: readonly Result[]): string {
  const rows = results.flatMap(({ row, ratio, run }) =>
    run
      ? [{
        name: `${row} ${ratio} %`,
        bos: bosOf(run),
        dense: String(Number(run.calibration.dense.toPrecision(2))),
      }]
      : []
  );
  const all = new Set(rows.map(({ dense }) => dense));
  if (all.size < 2) return "";
  const told = "the dense model's perplexity on them is about";
  const list = [...Map.groupBy(rows, ({ dense }) => dense)].map(([dense, rows]) =>
    `${dense} for ${rows.map(({ name }) => name).join(", ")}`
  ).join("; ");
  const byBos = [...Map.groupBy(rows, ({ bos }) => bos)].map(([bos, rows]) =>
    [bos, new Set(rows.map(({ dense }) => dense))] as const
  );
  if (byBos.some(([, draws]) => draws.size > 1)) {
    return `**Not all rows had the same samples**: ${told} ${list}.\n\n`;
  }
  const rules = byBos.map(([bos]) => `\`--bos ${bos}\``).join(" or ");
  return `The samples of the rows differ by BOS alone, which begins sequences as the preset of the row has it (${rules}): ${told} ${list}.\n\n`;
}

/** Which sequences of a run begin with BOS: as it was asked for, or as its preset has it. */
function bosOf({ command }: Run): string {
  const given = (flag: string) => command[command.indexOf(flag) + 1];
  if (command.includes("--bos")) return given("--bos");
  const preset = command.includes("--preset") ? given("--preset") : "lopper";
  return SETTINGS[preset as SettingsName].bos;
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
