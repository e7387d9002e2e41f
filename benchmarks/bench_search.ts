/**
 * The whole search: the published implementation, unmodified, against `--search exhaustive` and
 * `--search fast`, on the same model and texts with the same settings. Exhaustive has to decide
 * what is published before any time is believed.
 */
import {
  alternate,
  exists,
  inTemporaryFolder,
  lopper,
  median,
  output,
  printTable,
  type Rounds,
  samples,
  save,
  type Variant,
} from "./harness.ts";
import { basename } from "node:path";
import { isDeepStrictEqual } from "node:util";

export interface SearchCase {
  readonly name: string;
  readonly model: string;
  /**
   * Samples for blocks, from the beginning of the calibration text, and those for widths, which
   * follow them.
   */
  readonly samples: { readonly block: number; readonly width: number };
  readonly seqLen: number;
  readonly ratio: number;
  readonly distribution: string;
  readonly mlpGroup: number;
  readonly attentionGroup: number;
  /**
   * The ranking of channels and heads; the published one, by L1 norms of weights, where none is
   * named.
   */
  readonly ranking?: string;
}

export interface PublishedSearch {
  readonly python: string;
  /** A script that runs the published search on texts and writes down what it decided. */
  readonly script: string;
  /** The folder of the published code. */
  readonly code: string;
}

/** A step, as both sides write it down. */
interface Decided {
  readonly ppl: number;
  readonly ratio: number;
}

interface Round {
  readonly evaluations: number;
  /**
   * From the start of the process's work to its end: loading, searching, and with Lopper writing
   * and measuring.
   */
  readonly wallSeconds: number;
  readonly searchSeconds: number;
  readonly steps: readonly Decided[];
  /**
   * What was decided, in the format of the published implementation; null where that has no words
   * for it.
   */
  readonly config: unknown;
  readonly blockTokens: number | null;
  readonly calibrationPerplexity: number;
  readonly heldOutPerplexity: number | null;
}

/**
 * Relative. Sums of weights that are equal but for rounding may order two channels otherwise than
 * the published code does, which moves the perplexity of a width by a little more than arithmetic
 * does.
 */
const PPL_TOLERANCE = 1e-3;

export async function benchSearch(
  options: SearchCase,
  rounds: number,
  published: PublishedSearch | undefined,
): Promise<void> {
  const results = await inTemporaryFolder(async (folder) => {
    const texts = await writeTexts(folder, options);
    const variants = ["exhaustive", "fast"].map((search): Variant<Round> => ({
      name: `Lopper ${search}`,
      run: () => runLopper(options, search, texts, folder),
    }));
    if (published) {
      variants.unshift({
        name: "published, PyTorch",
        run: () => runPublished(options, published, texts.both, folder),
      });
    } else {
      console.error("the published implementation is left out: see --published in run.ts");
    }
    return await alternate(variants, rounds);
  });
  checkSame(results);
  await save(`search-${options.name}`, {
    what: "the whole search",
    case: named(options),
    rounds,
    results,
  });
  const of = (of: (round: Round) => number, { rounds }: Rounds<Round>) => median(rounds.map(of));
  const first = of((r) => r.wallSeconds, results[0]);
  printTable(
    [
      "search",
      "steps",
      "evaluations",
      "block-tokens",
      "search s",
      "wall s",
      "of the first",
      "calibration ppl",
      "held-out ppl",
    ],
    results.map((result) => {
      const [{ steps, evaluations, blockTokens, ...ppl }] = result.rounds;
      const wall = of((r) => r.wallSeconds, result);
      return [
        result.name,
        steps.length,
        evaluations.toFixed(0),
        blockTokens === null ? "" : `${(blockTokens / 1e6).toFixed(2)} M`,
        of((r) => r.searchSeconds, result).toFixed(1),
        wall.toFixed(1),
        (wall / first).toFixed(2),
        ppl.calibrationPerplexity.toFixed(3),
        ppl.heldOutPerplexity?.toFixed(3) ?? "",
      ];
    }),
  );
}

/** A case with the name of its model instead of where that lies. */
export function named(options: SearchCase): SearchCase {
  return { ...options, model: basename(options.model) };
}

export interface Texts {
  readonly block: string;
  readonly width: string;
  readonly both: string;
}

/** Writes the samples of a case as Lopper and as the published search read them. */
export async function writeTexts(
  folder: string,
  { samples: { block, width } }: Pick<SearchCase, "samples">,
): Promise<Texts> {
  const texts = { block: await samples(0, block), width: await samples(block, block + width) };
  const files = {
    block: `${folder}/block.jsonl`,
    width: `${folder}/width.jsonl`,
    both: `${folder}/texts.json`,
  };
  for (const kind of ["block", "width"] as const) {
    const lines = texts[kind].map((text) => JSON.stringify({ text }) + "\n");
    await Deno.writeTextFile(files[kind], lines.join(""));
  }
  await Deno.writeTextFile(files.both, JSON.stringify(texts));
  return files;
}

/** The arguments of `prune` for a case; no sample is left to a draw. */
export function pruneArguments(options: SearchCase, search: string, texts: Texts): string[] {
  return [
    ...["prune", options.model, "--preset", "multipruner", "--search", search, "--json"],
    ...["--ratio", String(options.ratio), "--distribution", options.distribution],
    ...["--mlp-group", String(options.mlpGroup)],
    ...["--attention-group", String(options.attentionGroup), "--seq-len", String(options.seqLen)],
    ...["--calibration", texts.block, "--calibration-width", texts.width],
    ...["--samples", String(options.samples.block)],
    ...["--width-samples", String(options.samples.width)],
    ...(options.ranking === undefined ? [] : ["--ranking", options.ranking]),
  ];
}

/** What a finished run folder says. */
export async function readRun(folder: string): Promise<Round> {
  const record = JSON.parse(await Deno.readTextFile(`${folder}/run.json`));
  const journal = (await Deno.readTextFile(`${folder}/journal.jsonl`)).trim().split("\n")
    .map((line) => JSON.parse(line));
  const steps = journal.filter(({ type }) => type === "step");
  return {
    // Candidates scored on a part of the samples count for that part.
    evaluations: journal.filter(({ type, of }) => type === "score" && of !== "base")
      .reduce((sum, { step, sequences }) => {
        const all = Math.max(
          ...steps[step].candidates.map((c: { sequences: number }) => c.sequences),
        );
        return sum + sequences.length / all;
      }, 0),
    wallSeconds: record.wallSeconds,
    searchSeconds: steps.reduce((sum, { seconds }) => sum + seconds, 0),
    steps: steps.map(({ ppl, ratio }) => ({ ppl, ratio })),
    config: JSON.parse(
      await Deno.readTextFile(`${folder}/pruning_config.json`).catch(() => "null"),
    ),
    blockTokens: record.blockTokens.spent,
    calibrationPerplexity: record.perplexity.calibration.pruned,
    heldOutPerplexity: record.perplexity.heldOut.pruned,
  };
}

/** A run in a folder that is made once; one that was cut off goes on. @param args without --out. */
export async function keptRun(args: readonly string[], out: string): Promise<Round> {
  if (!await exists(`${out}/run.json`)) {
    const begun = await exists(out);
    console.error(`${begun ? "going on with" : "running"} ${out}`);
    await lopper([...args, "--out", out, ...(begun ? ["--resume"] : [])]);
  }
  return await readRun(out);
}

async function runLopper(
  options: SearchCase,
  search: string,
  texts: Texts,
  folder: string,
): Promise<Round> {
  const out = `${folder}/${search}`;
  await lopper([...pruneArguments(options, search, texts), "--out", out, "--overwrite"]);
  return await readRun(out);
}

async function runPublished(
  options: SearchCase,
  { python, script, code }: PublishedSearch,
  texts: string,
  folder: string,
): Promise<Round> {
  const out = `${folder}/published.json`;
  const args = [
    ...[script, code, options.model, texts, out],
    ...["--seqlen", String(options.seqLen), "--dtype", "float32"],
    ...["--target_ratio", String(options.ratio)],
    ...["--pruning_distribution", options.distribution],
    ...["--mlp_channel_group_size", String(options.mlpGroup)],
    ...["--attn_channel_group_size", String(options.attentionGroup)],
  ];
  await output(python, args, { env: { OMP_NUM_THREADS: "2" } });
  const result = JSON.parse(await Deno.readTextFile(out));
  const steps: Decided[] = result.steps.map((
    { importance, ratio }: { importance: number; ratio: number },
  ) => ({ ppl: importance, ratio }));
  return {
    evaluations: result.evaluations,
    wallSeconds: result.wall_s,
    searchSeconds: result.evaluation_s,
    steps,
    config: result.pruning_config,
    blockTokens: null,
    calibrationPerplexity: steps.at(-1)!.ppl,
    heldOutPerplexity: null,
  };
}

/**
 * @throws {Error} when exhaustive did not decide as published, or a search not the same in every
 *   round.
 */
function checkSame(results: readonly Rounds<Round>[]) {
  for (const { name, rounds } of results) {
    const reference = name.endsWith("fast") ? rounds[0] : results[0].rounds[0];
    for (const { config, steps } of rounds) {
      if (!isDeepStrictEqual(config, reference.config)) {
        throw new Error(
          `${name} decides ${JSON.stringify(config)}, and ${results[0].name} ${
            JSON.stringify(reference.config)
          }`,
        );
      }
      const worst = Math.max(
        ...steps.map(({ ppl }, i) => Math.abs(ppl / reference.steps[i].ppl - 1)),
      );
      console.error(`${name}: perplexities off by ${worst.toExponential(1)} at most`);
      if (!(worst < PPL_TOLERANCE)) throw new Error(`${name}: a perplexity is off by ${worst}`);
    }
  }
}
