/**
 * What pruned models are worth: perplexity of WikiText-2 and of web text (C4), and the five
 * zero-shot tasks of the paper, for the dense model and every row at every ratio. All rows are
 * calibrated on the same samples. Runs and scores are kept in a folder and not repeated, and those
 * that were cut off go on; rows that results/ has already are not taken again, and rows that were
 * taken out of there take the plan that is kept there instead of a search.
 */
import { basename } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { provenance, save } from "../harness.ts";
import { type QualityCase, writeCalibration, writeTexts } from "./case.ts";
import { writeQualityPage } from "./page.ts";
import { readResults, type Result, RESULTS, type SavedResults } from "./results.ts";
import { rankOf } from "./rows.ts";
import { QualityRuns } from "./runs.ts";

export async function benchQuality(options: QualityCase, folder: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const calibration = await writeCalibration(options, folder);
  const texts = await writeTexts(options, folder);
  const described = describe(options);
  const earlier = await earlierOf(options.name, described);
  const runs = new QualityRuns(options, { folder, calibration, texts }, earlier?.searches ?? []);
  const results: Result[] = [...earlier?.results ?? []];
  if (results.length === 0) results.push(await denseRow(options.model, described, runs));
  for (const { ratio, names } of options.rows) {
    for (const row of names) {
      if (results.some((result) => result.row === row && result.ratio === ratio)) continue;
      const taken = await runs.take(row, ratio, results);
      results.push({ row, ratio, ...taken, taken: await provenance() });
      // After every row, so that a long evening is not lost.
      results.sort((a, b) => a.ratio - b.ratio || rankOf(a.row) - rankOf(b.row));
      const data = { what: "quality", case: described, results, searches: runs.searches };
      await save(`quality-${options.name}`, data);
      await writeQualityPage();
    }
  }
  console.log(await writeQualityPage());
}

/** What results keep of a case. */
function describe({ model, data: _, rows: __, ...rest }: QualityCase): SavedResults["case"] {
  return { ...rest, model: basename(model), calibration: rest.calibration.join(" and ") };
}

/** Results that there are already. @throws {Error} when they are of another case. */
async function earlierOf(
  name: string,
  described: SavedResults["case"],
): Promise<SavedResults | null> {
  const earlier = await readResults(name);
  if (!earlier || isDeepStrictEqual(earlier.case, described)) return earlier;
  throw new Error(
    `results/quality-${name}.json has rows of another case: ${JSON.stringify(earlier.case)}`,
  );
}

/** No text that is calibrated on makes a difference to it, so that another table may have it. */
async function denseRow(
  model: string,
  described: SavedResults["case"],
  runs: QualityRuns,
): Promise<Result> {
  const measured = (of: SavedResults["case"]) => [of.model, of.shares, of.limit];
  for (const name of Object.values(RESULTS).flat()) {
    const other = await readResults(name);
    if (other && isDeepStrictEqual(measured(other.case), measured(described))) {
      return other.results.find(({ row }) => row === "dense")!;
    }
  }
  const scores = await runs.evaluate(model);
  return { row: "dense", ratio: 0, run: null, scores, taken: await provenance() };
}
