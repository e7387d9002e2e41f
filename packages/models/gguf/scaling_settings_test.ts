import { CheckpointFormatError, firstRope, UnsupportedModelError } from "@lopper/core";
import { FileSource } from "@lopper/files";
import { MemorySource } from "@lopper/formats";
import type { Entry } from "@lopper/formats/testing";
import { float32Tensor, type TinyChange, tinyGguf } from "../testing/tiny_gguf.ts";
import { openGgufModel } from "./gguf_model.ts";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

async function scalingOf(change: TinyChange) {
  const model = await openGgufModel(new MemorySource("m.gguf", tinyGguf(change)));
  model[Symbol.dispose]();
  return firstRope(model.architecture)?.scaling;
}

const YARN: readonly Entry[] = [
  ["llama.rope.scaling.type", "string", "yarn"],
  ["llama.rope.scaling.factor", "float32", 4],
  ["llama.rope.scaling.original_context_length", "uint32", 16],
];
const LONG = float32Tensor("rope_factors_long.weight", [4], [1.5, 2, 4, 8]);
const SHORT = float32Tensor("rope_factors_short.weight", [4], [1, 1.1, 1.2, 1.3]);

Deno.test("GGUF scaling: YaRN by its keys, and by what llama.cpp takes for those that are not there", async () => {
  const usual = {
    ...{ type: "yarn", factor: 4, betaFast: 32, betaSlow: 1, truncate: true },
    originalMaxPositions: 16,
    attentionFactor: 1 + 0.1 * Math.log(4),
  };
  assert.deepEqual(await scalingOf({ entries: YARN }), usual);
  const betas: readonly Entry[] = [
    ["llama.rope.scaling.yarn_beta_fast", "float32", 16],
    ["llama.rope.scaling.yarn_beta_slow", "float32", 2],
  ];
  assert.deepEqual(
    await scalingOf({ entries: [...YARN, ...betas] }),
    { ...usual, betaFast: 16, betaSlow: 2 },
  );
  const attention = async (...entries: Entry[]) => {
    const scaling = await scalingOf({ entries: [...YARN, ...entries] });
    return scaling?.type === "yarn" && scaling.attentionFactor;
  };
  // What is multiplied with what llama.cpp has anyway.
  const half = await attention(["llama.rope.scaling.attn_factor", "float32", 0.5]);
  assert.ok(Math.abs(half as number - usual.attentionFactor / 2) < 1e-7);
  // What config.json said, as the converter writes it.
  assert.equal(await attention(["llama.rope.scaling.yarn_attn_factor", "float32", 1.5]), 1.5);
  const share: Entry = ["llama.rope.scaling.yarn_log_multiplier", "float32", 1];
  assert.equal(await attention(share), 1);
  assert.equal(await attention(share, ["llama.rope.scaling.attn_factor", "float32", 0.5]), 0.5);
});

Deno.test("GGUF scaling: YaRN's band in gpt-oss need not end at whole pairs, which no key says", async () => {
  const file = new URL("../../../tests/fixtures/gguf/families/gpt_oss.gguf", import.meta.url);
  using model = await openGgufModel(await FileSource.open(fileURLToPath(file)));
  const scaling = firstRope(model.architecture)?.scaling;
  assert.equal(scaling?.type === "yarn" && scaling.truncate, false);
});

Deno.test("GGUF scaling: LongRoPE by its tensors, whatever the file calls it", async () => {
  const entries: readonly Entry[] = [
    ["llama.rope.scaling.attn_factor", "float32", 1.25],
    ["llama.rope.scaling.original_context_length", "uint32", 16],
  ];
  const named: Entry = ["llama.rope.scaling.type", "string", "longrope"];
  const wanted = {
    type: "longrope",
    shortFactors: [1, 1.1, 1.2, 1.3],
    longFactors: [1.5, 2, 4, 8],
    originalMaxPositions: 16,
    attentionFactor: 1.25,
  };
  const tensors = [LONG, SHORT];
  assert.deepEqual(await scalingOf({ entries, tensors }), wanted);
  assert.deepEqual(await scalingOf({ entries: [...entries, named], tensors }), wanted);
});

Deno.test("GGUF scaling: factors that are missing or of another length, and two ways beside each other, are refused", async () => {
  const divisors = float32Tensor("rope_freqs.weight", [4], [1, 1, 2, 8]);
  const short = float32Tensor("rope_factors_short.weight", [3], [1, 1, 1]);
  const cases: readonly (readonly [TinyChange, unknown, RegExp])[] = [
    [{ tensors: [LONG] }, CheckpointFormatError, /"rope_factors_short\.weight".*is missing/],
    [{ tensors: [LONG, short] }, CheckpointFormatError, /is F32 \[3\] and needs to be F32 \[4\]/],
    [
      { entries: [["llama.rope.scaling.type", "string", "longrope"]] },
      ...[CheckpointFormatError, /"rope_factors_long\.weight".*is missing/] as const,
    ],
    [
      { entries: [["llama.rope.scaling.attn_factor", "float32", 0.5]] },
      ...[UnsupportedModelError, /rope\.scaling\.attn_factor is 0\.5/] as const,
    ],
    [
      { entries: [...YARN, ["llama.rope.scaling.yarn_ext_factor", "float32", 0.5]] },
      ...[UnsupportedModelError, /yarn_ext_factor is 0\.5/] as const,
    ],
    [
      { tensors: [divisors] },
      ...[UnsupportedModelError, /not those of Llama 3\.1/] as const,
    ],
  ];
  for (const [change, kind, message] of cases) {
    await assert.rejects(scalingOf(change), (error) => {
      assert.ok(error instanceof (kind as typeof Error), String(error));
      assert.match(error.message, message);
      return true;
    });
  }
});
