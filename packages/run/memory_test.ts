import type { BackendDescription } from "@lopper/backends";
import { architectureOfLayers } from "@lopper/models/testing";
import { InsufficientMemoryError } from "@lopper/core";
import { keptBytes } from "@lopper/importance";
import { activationBytes } from "@lopper/runtime";
import assert from "node:assert/strict";
import { type MemoryNeeds, planMemory, predictionsOf } from "./memory.ts";
import { type SideWork, sideWorkOf } from "./side_work.ts";
import type { RunFlags } from "./schemas/flags.ts";

const LAYER = { attention: { queryHeads: 32, kvHeads: 4 }, mlp: { intermediateSize: 5632 } };
const ARCHITECTURE = architectureOfLayers(Array.from({ length: 22 }, () => LAYER), {
  ...{
    hiddenSize: 2048,
    headDim: 64,
    vocabSize: 32_000,
    maxPositions: 2048,
    tiedEmbeddings: false,
  },
});
const CPU = { memoryLimitBytes: null, name: "cpu", engines: 1, attentionOp: "gqa" };
const NEEDS: MemoryNeeds = {
  architecture: ARCHITECTURE,
  weights: {
    held: 2.2e9,
    expanded: 4.1e9,
    largestBlock: 0.14e9,
    head: 0.26e9,
    experts: 0,
    blocks: 1.94e9,
    largestHeld: 0.07e9,
  },
  length: 512,
  tokens: 28_672,
  batchTokens: 2048,
  fixed: false,
  backend: CPU as BackendDescription,
};

/** Work beside the search that flags ask for. */
function besides(
  flags: Partial<Pick<RunFlags, "ranking" | "recover" | "search">>,
  scratch = false,
): { readonly beside: { readonly works: readonly SideWork[]; readonly scratch: boolean } } {
  const plain: Pick<RunFlags, "ranking" | "recover" | "search"> = {
    ranking: "l1",
    recover: "none",
    search: "fast",
  };
  return {
    beside: { works: sideWorkOf(ARCHITECTURE, NEEDS.weights, { ...plain, ...flags }), scratch },
  };
}

Deno.test("memory: what is planned fits the budget, and a larger budget is used", () => {
  let last = planMemory(NEEDS, 3.2e9);
  for (let budget = 3.3e9; budget < 40e9; budget *= 1.05) {
    const plan = planMemory(NEEDS, budget);
    const { architecture, weights, length, backend } = NEEDS;
    assert.equal(plan.blockBytes, weights.blocks);
    const total = weights.held + plan.expandedBytes / 2 + weights.head + plan.cacheBytes +
      activationBytes(architecture, backend, { tokens: plan.batchTokens, length });
    assert.ok(total <= plan.totalBytes && plan.totalBytes <= budget, `${total} of ${budget}`);
    assert.ok(plan.batchTokens >= last.batchTokens);
    assert.equal(plan.batchTokens % length, 0);
    assert.ok(plan.cacheBytes >= keptBytes(architecture, length, plan.batchTokens));
    if (plan.batchTokens === last.batchTokens) {
      assert.ok(plan.cacheBytes >= last.cacheBytes && plan.expandedBytes >= last.expandedBytes);
    }
    last = plan;
  }
  // With all the room there is nothing is expanded twice and no base plan is run twice.
  const copies = 14 * 3 * keptBytes(ARCHITECTURE, 512, 2048);
  const { totalBytes, ...shares } = last;
  assert.ok(totalBytes < 38e9, `${totalBytes}: no more room than there is use for`);
  assert.deepEqual(shares, {
    ...{ batchTokens: 2048, cacheBytes: copies, inFileBytes: 0 },
    ...{ expandedBytes: 4.1e9, expertBytes: 0, blockBytes: 1.94e9 },
    ...{ workspaceBytes: Infinity, scratchBytes: 0 },
  });
});

Deno.test("memory: what cannot fit is refused with the figures", () => {
  const refused = (needs: MemoryNeeds, budget: number, message: RegExp) =>
    assert.throws(() => planMemory(needs, budget), (error) => {
      assert.ok(error instanceof InsufficientMemoryError);
      assert.ok(error.needed > error.available);
      assert.match(error.message, message);
      return true;
    });
  refused(
    NEEDS,
    0.9e9,
    /needs 1\.\d GB .*LM head 260\.0 MB, a block as it is read 210\.0 MB.*may take 900\.0 MB.*--seq-len/,
  );
  // What follows the search, or comes before a stage of it.
  const apart: readonly [Partial<MemoryNeeds>, RegExp][] = [
    [besides({ recover: "auto" }), /^recovery needs .*--recover none/],
    [besides({ ranking: "compensated" }), /^the ranking needs .*--ranking energy/],
  ];
  const both = { ...NEEDS, batchTokens: 512, ...besides({ recover: "both" }) } as const;
  refused(both, 3e9, /^recovery needs .*--recover auto or none/);
  for (const [part, message] of apart) {
    const least = { ...NEEDS, batchTokens: 512 };
    const needs = { ...least, ...part };
    refused(needs, 1.6e9, message);
    const { expandedBytes } = planMemory(needs, 5e9);
    assert.ok(
      expandedBytes < planMemory(least, 5e9).expandedBytes,
      `${message}: room is left for it`,
    );
  }
  assert.ok(
    planMemory({ ...NEEDS, alongside: [predictionsOf(NEEDS.tokens)] }, 8e9).cacheBytes <
      planMemory(NEEDS, 8e9).cacheBytes,
    "the dense model's predictions take room",
  );
  refused(
    { ...NEEDS, alongside: [predictionsOf(5e6)], tokens: 5e6 },
    8e9,
    /the dense model's predictions 15\.4 GB/,
  );
  // Batches that decisions were made with are not made smaller.
  assert.ok(planMemory(NEEDS, 3.3e9).batchTokens < 2048);
  refused({ ...NEEDS, fixed: true }, 2e9, /2048 tokens/);
  const one = { memoryLimitBytes: 4 * 2 ** 30, name: "wasm", engines: 1 };
  const wasm = one as BackendDescription;
  const room = (backend: BackendDescription) => {
    const { cacheBytes, expandedBytes } = planMemory({ ...NEEDS, backend }, 7e9);
    return cacheBytes + expandedBytes / 2;
  };
  assert.ok(room({ ...wasm, engines: 4 }) < room(wasm) - 4 * 190e6);
  refused({ ...NEEDS, backend: { ...wasm, engines: 64 } }, 20e9, /64 engines .*--threads/);
  const wide = { ...ARCHITECTURE, vocabSize: 600_000 };
  refused({ ...NEEDS, architecture: wide, backend: wasm }, 80e9, /backend wasm can hold 4\.3 GB/);
});

Deno.test("memory: experts take what else is left, and stay in the file where that is not enough", () => {
  const weights = { ...NEEDS.weights, held: 62.2e9, expanded: 124e9, experts: 60e9 };
  const needs = { ...NEEDS, weights };
  let last = 0;
  for (let budget = 3.5e9; budget < 80e9; budget *= 1.1) {
    const plan = planMemory(needs, budget);
    const inHalves = weights.held - weights.experts + plan.expertBytes;
    const total = inHalves + plan.expandedBytes / 2 + weights.head + plan.cacheBytes;
    assert.ok(total <= budget, `${total} of ${budget}`);
    if (plan.expertBytes < weights.experts) assert.equal(plan.expandedBytes, 0);
    assert.ok(plan.expertBytes >= last || plan.batchTokens > NEEDS.length, `${plan.expertBytes}`);
    last = plan.expertBytes;
  }
  assert.equal(last, 60e9, "all of them, where there is room");
});

Deno.test("memory: blocks stay in the file where they leave no room, as many as that takes", () => {
  const { architecture, weights, length, backend } = NEEDS;
  for (const fixed of [false, true]) {
    let last = -1;
    for (let budget = fixed ? 2.7e9 : 1.45e9; budget < 3.2e9; budget *= 1.02) {
      const plan = planMemory({ ...NEEDS, fixed }, budget);
      if (plan.blockBytes === weights.blocks) break;
      assert.equal(plan.inFileBytes, weights.blocks - plan.blockBytes);
      const { batchTokens: tokens } = plan;
      const total = weights.held - weights.blocks + plan.blockBytes + 3 * weights.largestHeld +
        weights.head + plan.expandedBytes / 2 + plan.cacheBytes +
        activationBytes(architecture, backend, { tokens, length });
      assert.ok(total <= budget, `${total} of ${budget}`);
      if (fixed) {
        assert.equal(tokens, NEEDS.batchTokens);
        assert.ok(plan.blockBytes > last, `${plan.blockBytes} after ${last}`);
      }
      last = plan.blockBytes;
    }
    assert.ok(last > 0, "some are in memory");
  }
});

Deno.test("memory: hidden states and fits go to a file where they find no room, and nothing else changes", () => {
  for (
    const flags of [{ recover: "auto" }, { recover: "both" }, { ranking: "compensated" }] as const
  ) {
    const inMemory = { ...NEEDS, ...besides(flags) };
    const withFile = { ...NEEDS, ...besides(flags, true) };
    const [work] = withFile.beside.works;
    // With room for all of it, no file is there.
    assert.deepEqual(planMemory(withFile, 40e9), planMemory(inMemory, 40e9));
    const least = (needs: MemoryNeeds) => leastBudget((budget) => planMemory(needs, budget));
    const most = work.kept + work.replaced;
    assert.ok(least(withFile) < least(inMemory), `${least(withFile)} of ${least(inMemory)}`);
    let files = 0;
    for (let budget = least(withFile); budget < 12e9; budget *= 1.02) {
      const plan = planMemory(withFile, budget);
      const { batchTokens: tokens, blockBytes, inFileBytes, workspaceBytes, scratchBytes } = plan;
      if (workspaceBytes === Infinity) continue;
      files += 1;
      assert.ok(scratchBytes <= most && scratchBytes + workspaceBytes >= work.kept);
      const { architecture, weights, length, backend } = NEEDS;
      // While equations are solved, nothing of the head is in float32.
      const total = weights.held - weights.blocks + blockBytes +
        (inFileBytes > 0 ? 3 * weights.largestHeld : 0) + weights.largestBlock +
        plan.expandedBytes / 2 + work.equations(tokens) + workspaceBytes +
        activationBytes(architecture, backend, { tokens, length });
      assert.ok(total <= budget, `${total} of ${budget}`);
      assert.ok(plan.totalBytes <= budget + 1, `${plan.totalBytes} of ${budget}`);
    }
    assert.ok(files > 0, JSON.stringify(flags));
  }
  const { beside: { works: [work] } } = besides({ recover: "auto" });
  assert.ok(work.replaced > 0 && work.kept > 0);
});

/** The least budget with which something does not run out of memory. */
function leastBudget(ask: (budget: number) => unknown): number {
  for (let budget = 0;;) {
    try {
      ask(budget);
      return budget;
    } catch (error) {
      assert.ok(error instanceof InsufficientMemoryError);
      budget = error.needed;
    }
  }
}
