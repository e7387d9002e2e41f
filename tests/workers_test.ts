import type { RunFlags } from "@lopper/run";
import assert from "node:assert/strict";
import { inTemporaryFolder } from "./support/cli.ts";
import { mortalWorkersHere, sharedRun, workersHere } from "./support/shared_run.ts";
import { writeMixture } from "./support/tiny_mixture.ts";
import { failsHere } from "./support/in_process.ts";
import { pruneHere, writeTinyRun } from "./support/tiny_run.ts";

const RUNS: Readonly<Record<string, Partial<RunFlags>>> = {
  "the usual search": { ratio: 20, mlpGroup: 8, recover: "none", ranking: "energy" },
  "swaps, held-out text and perplexity": {
    ...{ ratio: 20, mlpGroup: 8, recover: "none", swap: "auto", criterion: "perplexity" },
    heldOut: "held-out",
  },
  "an exhaustive search by stages": { preset: "multipruner", search: "exhaustive", ratio: 15 },
};

for (const [name, flags] of Object.entries(RUNS)) {
  Deno.test(`workers: one, two and five decide what none decides: ${name}`, () =>
    inTemporaryFolder(async (folder) => {
      const [model, , calibration, , heldOut] = await writeTinyRun(folder);
      const options = {
        ...{ model, calibration, heldOut },
        flags: { samples: 8, widthSamples: 8, seqLen: 16, ...flags },
      };
      const alone = await sharedRun(options);
      for (const count of [1, 2, 5]) {
        await using queue = workersHere(count, model);
        const shared = await sharedRun(options, queue);
        assert.deepEqual(shared.files, alone.files, `${count} workers`);
        assert.deepEqual(shared.journal, alone.journal, `${count} workers`);
        // The block inputs of a batch are made once, whoever keeps them.
        const overhead = shared.blockTokens / alone.blockTokens - 1;
        assert.ok(overhead <= 0.1, `${count} workers: ${100 * overhead} % more block-tokens`);
      }
    }));
}

Deno.test("workers: what experts make of tokens is summed as without workers", () =>
  inTemporaryFolder(async (folder) => {
    const [, , calibration, , heldOut] = await writeTinyRun(folder);
    const model = await writeMixture(`${folder}/mixture`);
    const sizes = { samples: 8, widthSamples: 8, seqLen: 16 };
    const flags = { ...sizes, preset: "experts", ratio: 10, recover: "none" } as const;
    const options = { model, calibration, heldOut, flags };
    const alone = await sharedRun(options);
    await using queue = workersHere(2, model);
    const shared = await sharedRun(options, queue);
    assert.deepEqual(shared.files, alone.files);
    assert.deepEqual(shared.journal, alone.journal);
  }));

Deno.test("workers: --workers takes engines of this machine, and writes the same", () =>
  inTemporaryFolder(async (folder) => {
    const args = [...await writeTinyRun(folder), "--mlp-group", "8", "--ratio", "20"];
    const result = async (out: string, ...more: readonly string[]) => {
      await pruneHere([...args, "--out", `${folder}/${out}`, ...more]);
      return [
        await Deno.readTextFile(`${folder}/${out}/lopper_plan.json`),
        await Deno.readFile(`${folder}/${out}/model.safetensors`),
      ];
    };
    const count = Math.min(2, navigator.hardwareConcurrency);
    assert.deepEqual(await result("shared", "--workers", String(count)), await result("alone"));
    const dry = ["--dry-run", "--workers", "1"];
    await failsHere(["prune", ...args, "--workers", "0"], 2, /--workers is 0; .* 1 to \d+/);
    await failsHere(
      ["prune", ...args, "--workers", "queue.local"],
      2,
      /^lopper: the address of Redis/m,
    );
    await failsHere(
      ["prune", ...args, ...dry],
      2,
      /'--workers <where>' cannot be used with .*dry-run/,
    );
  }));

Deno.test("workers: whoever takes over from one that died decides the same", () =>
  inTemporaryFolder(async (folder) => {
    const [model, , calibration, , heldOut] = await writeTinyRun(folder);
    const flags = { samples: 8, widthSamples: 8, seqLen: 16, ...RUNS["the usual search"] };
    const options = { model, calibration, heldOut, flags };
    const alone = await sharedRun(options);
    await using queue = mortalWorkersHere(2, model, 11);
    const shared = await sharedRun(options, queue);
    assert.deepEqual(shared.files, alone.files);
    assert.deepEqual(shared.journal, alone.journal);
  }));
