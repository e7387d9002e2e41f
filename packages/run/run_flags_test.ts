import { UsageError } from "@lopper/core";
import { tinyArchitecture } from "@lopper/search/testing";
import assert from "node:assert/strict";
import { runFlags, type RunFlagsContext } from "./run_flags.ts";
import type { RunFlags } from "./schemas/flags.ts";

const flagsOf = (given: Partial<RunFlags>, context?: RunFlagsContext) =>
  runFlags(tinyArchitecture(1), given, context);

Deno.test("settings: candidates are judged by the dense model, or as the preset or the run to resume was", () => {
  assert.equal(flagsOf({}).criterion, "kl");
  assert.equal(flagsOf({ preset: "multipruner" }).criterion, "perplexity");
  assert.equal(flagsOf({ preset: "multipruner", criterion: "kl" }).criterion, "kl");
  const applied = flagsOf({}, { isApplied: true });
  assert.deepEqual([applied.criterion, applied.recover], ["kl", "none"]);
  const saved = flagsOf({ criterion: "perplexity" });
  assert.equal(flagsOf({}, { saved }).criterion, "perplexity");
});

Deno.test("settings: each sequence begins as a text does, but where published decisions are made again", () => {
  assert.equal(flagsOf({}).bos, "each");
  assert.equal(flagsOf({ preset: "experts" }).bos, "each");
  for (const preset of ["multipruner", "blockpruner", "width", "heads"] as const) {
    assert.equal(flagsOf({ preset }).bos, "first");
    assert.equal(flagsOf({ preset, bos: "each" }).bos, "each");
  }
  const saved = flagsOf({ bos: "first" });
  assert.equal(flagsOf({}, { saved }).bos, "first");
});

Deno.test("settings: an export that is asked for anew keeps nothing of the one before", () => {
  const saved = flagsOf({ export: "gguf", quantize: "q8_0" });
  assert.equal(flagsOf({}, { saved }).quantize, "q8_0");
  const { export: format, quantize } = flagsOf({ export: "onnx" }, { saved });
  assert.deepEqual([format, quantize], ["onnx", null]);
});

Deno.test("settings: what contradicts, or is what no option gives, is refused in a sentence", () => {
  const refused = (given: object, message: RegExp, context?: RunFlagsContext) =>
    assert.throws(() => flagsOf(given as Partial<RunFlags>, context), (error) => {
      assert.ok(error instanceof UsageError, String(error));
      assert.match(error.message, message);
      return true;
    });
  refused({ preset: "constructor" }, /preset is "constructor"; it needs to be one of lopper, /);
  refused({ ranking: "size" }, /settings of the run: at ranking: /);
  refused(
    { distribution: "1:2" },
    /at distribution: three shares are needed \(of mixtures of experts perhaps four\), or auto/,
  );
  refused({ preset: "heads", distribution: "1:1:1" }, /--preset heads fixes the distribution/);
  refused({ search: "exhaustive", fastWithout: ["lazy"] }, /--fast-without is for --search fast/);
  refused({ dtype: "fp16" }, /--dtype is for what --export writes; add --export FORMAT/);
  refused({ export: "gguf", quantize: "q4" }, /at quantize: the format has no such quantisation/);
  refused({ uniform: true, swap: "auto" }, /--uniform keeps all of them alike/);
});

Deno.test("settings: where layer norms lie behind blocks refits are local, and asking for others is an error that says why", () => {
  const post = tinyArchitecture(2, { placement: "post", norm: "layer" });
  assert.equal(runFlags(post, {}).recover, "local");
  assert.equal(runFlags(post, { recover: "local" }).recover, "local");
  assert.equal(runFlags(post, { recover: "none" }).recover, "none");
  assert.equal(flagsOf({}).recover, "auto");
  for (const recover of ["auto", "both"] as const) {
    assert.throws(
      () => runFlags(post, { recover }),
      (error) =>
        error instanceof UsageError && error.message.startsWith(`--recover ${recover} solves `) &&
        /block 0\.attention lies a layer norm; leave it out, or pass .* local$/.test(error.message),
    );
  }
});
