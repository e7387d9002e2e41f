import { headCostInBlocks } from "@lopper/core";
import { tinyArchitecture } from "@lopper/search/testing";
import assert from "node:assert/strict";
import { runFlags } from "./run_flags.ts";
import { pickerOf, policyOf } from "./search_tools.ts";
import { shorterWays, totalOf, workload } from "./workload.ts";
import type { RunFlags } from "./schemas/flags.ts";

const ARCHITECTURE = tinyArchitecture(6);
const MODEL = { architecture: ARCHITECTURE };
const TOKENS = { block: 4096, width: 2048, extended: 8192, validation: 4096, heldOut: 1024 };
const LENGTH = 64;

function partsOf(flags: RunFlags) {
  const scorer = (tokens: number) => ({
    ...{ tokens, length: LENGTH, keptBatches: 1, batches: [[0, 1, 2, 3]] },
    fullCost: (shape: readonly unknown[]) =>
      tokens * (shape.length + headCostInBlocks(ARCHITECTURE, LENGTH)),
  });
  return {
    ...{ policy: policyOf(MODEL, flags, null), picker: pickerOf(flags) },
    scorers: { block: scorer(TOKENS.block), width: scorer(TOKENS.width) },
  };
}

const flagsOf = (given: Partial<RunFlags>) =>
  runFlags(ARCHITECTURE, { seqLen: LENGTH, samples: 64, ...given });
const workOf = (given: Partial<RunFlags>) => {
  const flags = flagsOf(given);
  return workload(MODEL, flags, partsOf(flags), TOKENS);
};

Deno.test("workload: what is not asked for is not computed", () => {
  const all = workOf({});
  const without = workOf({ recover: "none", ranking: "l1", criterion: "perplexity" });
  assert.ok(all.refits > 0 && without.refits === 0);
  const perToken = ARCHITECTURE.blocks.length + headCostInBlocks(ARCHITECTURE, LENGTH);
  // Both models are measured; the dense one says nothing of candidates.
  assert.equal(without.beside, 2 * (TOKENS.block + TOKENS.heldOut) * perToken);
  const predicted = workOf({ recover: "none", ranking: "l1" });
  const more = predicted.beside - without.beside;
  assert.ok(Math.abs(more - TOKENS.block * perToken) < 1, `${more}`);
  assert.ok(all.beside > predicted.beside, "rankings are tried");
  assert.equal(totalOf(all), all.search + all.beside + all.refits);
});

Deno.test("workload: every candidate on everything takes more than a race, and a race more without a threshold", () => {
  const [fast, races, all] = [
    workOf({}),
    workOf({ fastWithout: ["threshold"] }),
    workOf({ search: "exhaustive" }),
  ].map(({ search }) => search);
  assert.ok(fast < races && races < all, `${fast}, ${races}, ${all}`);
});

Deno.test("workload: a dry run names what takes less, the shortest first, and nothing else", () => {
  const flags = flagsOf({});
  const parts = partsOf(flags);
  const asked = totalOf(workload(MODEL, flags, parts, TOKENS));
  const ways = shorterWays(MODEL, flags, parts, TOKENS);
  assert.ok(ways.length > 1);
  ways.reduce((last, { options, work }) => {
    assert.ok(totalOf(work) >= last && totalOf(work) <= 0.8 * asked, options);
    return totalOf(work);
  }, 0);
  const said = ways.map(({ options }) => options);
  assert.ok(said.includes("--samples 32") && said.includes("--preset quick"), said.join());
  const table = flagsOf({ search: "table" });
  const ofTable = shorterWays(MODEL, table, partsOf(table), TOKENS).map(({ options }) => options);
  assert.ok(!ofTable.includes("--preset quick"), "which leaves a table that was asked for");
  const least = flagsOf({ search: "table", samples: 4, recover: "none" });
  assert.deepEqual(shorterWays(MODEL, least, partsOf(least), TOKENS), []);
});

Deno.test("workload: the preset quick is less than half of the work, on as much text as it takes", () => {
  const totalWith = (given: Partial<RunFlags>) => {
    const flags = runFlags(ARCHITECTURE, given);
    const perSample = flags.seqLen;
    const tokens = {
      ...{ block: flags.samples * perSample, width: flags.widthSamples * perSample },
      ...{ extended: 11 * flags.samples * perSample, validation: flags.samples * perSample },
      heldOut: TOKENS.heldOut,
    };
    return totalOf(workload(MODEL, flags, partsOf(flags), tokens));
  };
  assert.ok(totalWith({ preset: "quick" }) < totalWith({}) / 2);
});
