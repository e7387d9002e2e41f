import type { RunFlags } from "@lopper/run";
import assert from "node:assert/strict";
import { tinySpec } from "@lopper/search/testing";
import { resolveFlags } from "../apps/cli/prune/resolve_flags.ts";

Deno.test("options: candidates are judged by the dense model, or as the preset or the run to resume was", () => {
  const criterion = (
    options: Partial<Parameters<typeof resolveFlags>[0]>,
    saved?: RunFlags,
  ) => resolveFlags({ backend: "auto", ...options }, "model", tinySpec(1), saved).criterion;
  assert.equal(criterion({}), "kl");
  assert.equal(criterion({ preset: "multipruner" }), "perplexity");
  assert.equal(criterion({ preset: "multipruner", criterion: "kl" }), "kl");
  assert.equal(criterion({ plan: "plan.json" }), "kl", "its repairs are judged as any others");
  const { criterion: _, ...older } = resolveFlags(
    { backend: "auto" },
    "model",
    tinySpec(1),
    undefined,
  );
  assert.equal(criterion({}, older as RunFlags), "perplexity", "there was no other once");
  assert.equal(criterion({}, { ...older, criterion: "kl" }), "kl");
});
