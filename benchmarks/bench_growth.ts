/**
 * How the cost of both searches grows with layers, width, calibration tokens and target ratio: the
 * embedded model, made smaller in one respect at a time, with a fitted exponent (cost ∝
 * size^exponent, least squares over logarithms).
 */
import { densePlan, type LayerPlan } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { modelDigest, openModel, planToJson } from "@lopper/models";
import { pruneArguments, readRun, type SearchCase, writeTexts } from "./bench_search.ts";
import { DEMO, inTemporaryFolder, lopper, printTable, save } from "./harness.ts";

const BASE: SearchCase = {
  name: "growth",
  model: DEMO,
  samples: { block: 12, width: 6 },
  seqLen: 128,
  ratio: 20,
  distribution: "44:52:4",
  mlpGroup: 32,
  attentionGroup: 96,
};

interface Point {
  readonly axis: string;
  readonly size: number;
  readonly search: string;
  readonly steps: number;
  readonly blockTokens: number;
  readonly searchSeconds: number;
}

export async function benchGrowth(): Promise<void> {
  const points = await inTemporaryFolder(async (folder) => {
    const found: Point[] = [];
    for (const { axis, size, options } of await variants(folder)) {
      const texts = await writeTexts(folder, options);
      for (const search of ["exhaustive", "fast"]) {
        const out = `${folder}/run`;
        await lopper([...pruneArguments(options, search, texts), "--out", out, "--overwrite"]);
        const { steps, blockTokens, searchSeconds } = await readRun(out);
        const result = { steps: steps.length, blockTokens: blockTokens!, searchSeconds };
        found.push({ axis, size, search, ...result });
        console.error(`${axis} ${size}, ${search}: ${(blockTokens! / 1e6).toFixed(2)} M`);
      }
    }
    return found;
  });
  const axes = [...new Set(points.map(({ axis }) => axis))];
  const fits = axes.flatMap((axis) =>
    ["exhaustive", "fast"].map((search) => {
      const of = points.filter((point) => point.axis === axis && point.search === search);
      const fit = (of_: (point: Point) => number) =>
        exponent(of.map((point) => [point.size, of_(point)]));
      return {
        axis,
        search,
        sizes: of.map(({ size }) => size),
        blockTokens: of.map(({ blockTokens }) => blockTokens),
        blockTokenExponent: fit((p) => p.blockTokens),
        secondsExponent: fit((p) => p.searchSeconds),
      };
    })
  );
  await save("growth", { what: "growth of the search's cost", base: BASE, points, fits });
  printTable(
    ["against", "sizes", "search", "block-tokens (M)", "exponent", "exponent of seconds"],
    fits.map((fit) => [
      fit.axis,
      fit.sizes.join(", "),
      fit.search,
      fit.blockTokens.map((n) => (n / 1e6).toFixed(2)).join(", "),
      fit.blockTokenExponent.toFixed(2),
      fit.secondsExponent.toFixed(2),
    ]),
  );
}

async function variants(folder: string) {
  const found: { axis: string; size: number; options: SearchCase }[] = [];
  const add = (axis: string, size: number, change: Partial<SearchCase>) =>
    found.push({ axis, size, options: { ...BASE, ...change } });
  for (const layers of [4, 6, 8, 12]) {
    add("layers", layers, { model: await smaller(folder, { layers }) });
  }
  for (const width of [128, 256, 512]) {
    add("intermediate size", width, { model: await smaller(folder, { width }) });
  }
  const { block, width } = BASE.samples;
  for (const factor of [1, 2, 4]) {
    const samples = { block: factor * block, width: factor * width };
    add("calibration samples", samples.block, { samples });
  }
  for (const ratio of [10, 20, 30, 40]) add("target ratio, %", ratio, { ratio });
  return found;
}

/**
 * The embedded model with fewer layers, of which it loses the last but one first, or narrower MLPs;
 * written once.
 */
async function smaller(
  folder: string,
  { layers, width }: { layers?: number; width?: number },
): Promise<string> {
  const model = await openModel(new FileFolder(DEMO));
  const { architecture } = model;
  const out = `${folder}/${layers ? `layers-${layers}` : `width-${width}`}`;
  const dense = densePlan(architecture, await modelDigest(model));
  model[Symbol.dispose]();
  const last = architecture.layerCount - 1;
  const plan = {
    ...dense,
    layers: dense.layers.map(({ attention, mlp }, i): LayerPlan => {
      if (layers !== undefined && i >= layers - 1 && i < last) {
        return { attention: "removed", mlp: "removed" };
      }
      if (mlp === "removed" || width === undefined) return { attention, mlp };
      return { attention, mlp: { channels: mlp.channels.slice(0, width) } };
    }),
  };
  const file = `${out}.json`;
  await Deno.writeTextFile(file, planToJson(plan));
  await lopper(["prune", DEMO, "--plan", file, "--out", out, "--json"]);
  return out;
}

/** The slope of a line through logarithms, by least squares. */
function exponent(points: readonly (readonly [size: number, cost: number])[]): number {
  const logs = points.map(([size, cost]) => [Math.log(size), Math.log(cost)]);
  const mean = (axis: 0 | 1) => logs.reduce((sum, p) => sum + p[axis], 0) / logs.length;
  const [x, y] = [mean(0), mean(1)];
  const covariance = logs.reduce((sum, p) => sum + (p[0] - x) * (p[1] - y), 0);
  return covariance / logs.reduce((sum, p) => sum + (p[0] - x) ** 2, 0);
}
