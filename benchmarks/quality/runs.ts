/**
 * Runs and scores of quality.md, kept in a folder and not repeated; those that were cut off go on.
 */
import { sideWork, sumOfCosts } from "@lopper/search";
import { basename } from "node:path";
import { readJournal } from "../../apps/cli/shared/folder/read_journal.ts";
import { exists, lopper } from "../harness.ts";
import type { QualityCase } from "./case.ts";
import { keepPlan, writeKeptPlan } from "./kept_plans.ts";
import type { Result, Run, Search, Work } from "./results.ts";
import { PUBLISHED, type RowName, ROWS } from "./rows.ts";
import { type Scores, scoresOf } from "./scores.ts";

/** Where a table is made. */
export interface Workplace {
  /** The folder that keeps runs and scores. */
  readonly folder: string;
  /** Options that say what is calibrated on. */
  readonly calibration: readonly string[];
  /** Files that perplexity is measured on. */
  readonly texts: readonly string[];
}

/**
 * What a row takes its plan from: a file, with what its search cost, or the folder of a longer run.
 */
interface PlanSource {
  readonly path: string;
  readonly search?: Work;
}

export class QualityRuns {
  readonly #case: QualityCase;
  readonly #place: Workplace;
  /** Searches whose plans are kept; those of new runs join them. */
  readonly searches: Search[];

  constructor(options: QualityCase, place: Workplace, searches: readonly Search[]) {
    this.#case = options;
    this.#place = place;
    this.searches = [...searches];
  }

  /** What a row came to: its run, and the scores of the model that it left. */
  async take(
    row: RowName,
    ratio: number,
    results: readonly Result[],
  ): Promise<{ readonly run: Run; readonly scores: Scores }> {
    const run = await this.#prune(row, ratio);
    const out = this.#pathOf(row, ratio);
    const scores = await this.#scoresOfTwin(out, ratio, run, results) ?? await this.evaluate(out);
    return { run, scores };
  }

  async evaluate(model: string): Promise<Scores> {
    console.error(`evaluating ${model}`);
    const { data, limit } = this.#case;
    return await scoresOf(model, {
      data,
      limit,
      texts: this.#place.texts,
      out: `${this.#place.folder}/scores/${basename(model)}`,
    });
  }

  /** Runs what is not there yet, the run whose plan is taken first. */
  async #prune(row: RowName, ratio: number): Promise<Run> {
    const { flags, plan } = ROWS[row];
    const out = this.#pathOf(row, ratio);
    const source = await this.#sourceOf(row, ratio);
    if (!await exists(`${out}/run.json`)) await this.#run(out, flags, ratio, source);
    const record = JSON.parse(await Deno.readTextFile(`${out}/run.json`));
    // A plan costs what its search did, for a smaller ratio, too: the search was for the larger
    // one.
    const own = await workOf(out);
    const search = source?.search ?? (source ? await workOf(source.path) : own).search;
    if (!source?.search) {
      await keepPlan(this.#kept(row, ratio), out);
      this.searches.push({ row, ratio, search });
    }
    return {
      command: flags,
      ...(source && plan && { plan }),
      search,
      repairs: own.repairs,
      calibration: record.perplexity.calibration,
    };
  }

  async #run(out: string, flags: readonly string[], ratio: number, source: PlanSource | null) {
    const { model, seqLen, mlpGroup, samples } = this.#case;
    const begun = await exists(out);
    console.error(`${begun ? "going on with" : "running"} ${out}`);
    await lopper([
      ...["prune", model, "--json", "--out", out, ...flags],
      // The plan of a file has its ratio.
      ...(source?.search ? [] : ["--ratio", String(ratio)]),
      ...this.#place.calibration,
      ...["--seq-len", String(seqLen)],
      ...["--mlp-group", String(mlpGroup)],
      ...["--samples", String(samples.block)],
      ...["--width-samples", String(samples.width)],
      ...(source ? ["--plan", source.path] : []),
      // A plan's folder that was cut off holds nothing to go on with.
      ...(begun ? [source ? "--overwrite" : "--resume"] : []),
    ]);
  }

  /** Null where a row makes a search of its own. */
  async #sourceOf(row: RowName, ratio: number): Promise<PlanSource | null> {
    const { plan } = ROWS[row];
    const from = plan?.row ?? row;
    const kept = this.searches.find((search) => search.row === from && search.ratio === ratio);
    if (kept) {
      const path = `${this.#pathOf(from, ratio)}.plan.json`;
      await writeKeptPlan(this.#kept(from, ratio), path);
      return { path, search: kept.search };
    }
    if (plan?.row) {
      await this.#prune(plan.row, ratio);
      return await this.#sourceOf(row, ratio);
    }
    // Who wants a row before there is the longer run gets a search of its own.
    const longer = plan?.ratio !== undefined && plan.ratio !== ratio &&
      this.#pathOf(row, plan.ratio);
    return longer && await exists(`${longer}/run.json`) ? { path: longer } : null;
  }

  /**
   * Scores of the published search where a run that repaired nothing came to the very same plan,
   * and so to the same model (swaps of which none is kept). Null where it is another model.
   */
  async #scoresOfTwin(
    out: string,
    ratio: number,
    run: Run,
    results: readonly Result[],
  ): Promise<Scores | null> {
    const published = results.find((result) => result.row === PUBLISHED && result.ratio === ratio);
    const kept = await this.#sourceOf(PUBLISHED, ratio);
    if (!published || !kept || run.repairs?.blockTokens) return null;
    const [plan, other] = await Promise.all(
      [`${out}/lopper_plan.json`, kept.path].map((path) => Deno.readTextFile(path)),
    );
    return plan === other ? published.scores : null;
  }

  /** The name under which a plan is kept. */
  #kept(row: RowName, ratio: number): string {
    return `${this.#case.name}/${nameOf(row, ratio)}`;
  }

  #pathOf(row: RowName, ratio: number): string {
    return `${this.#place.folder}/${nameOf(row, ratio)}`;
  }
}

function nameOf(row: RowName, ratio: number): string {
  return `${row.replaceAll(/\W+/g, "-").toLowerCase()}-${ratio}`;
}

/**
 * What a run's search took, with rankings, swaps and what the dense model was asked for it (whose
 * seconds nobody wrote down), and what its repairs did.
 */
async function workOf(run: string): Promise<Readonly<Record<"search" | "repairs", Work>>> {
  const { history } = (await readJournal(run))!;
  const { rankings, swaps, refits: repairs } = sideWork(history);
  const search = [...history.evidence, ...history.measures].map(({ cost }) => cost);
  const { blockTokens } = JSON.parse(await Deno.readTextFile(`${run}/run.json`));
  const asked = { blockTokens: blockTokens.overhead.predictions, seconds: 0 };
  return { search: [...search, rankings, swaps, asked].reduce(sumOfCosts), repairs };
}
