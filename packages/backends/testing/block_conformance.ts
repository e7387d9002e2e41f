import type { Block } from "@lopper/core";
import { blockGraph } from "@lopper/graphs";
import type { ArchitectureChange } from "@lopper/models/testing";
import assert from "node:assert/strict";
import { type Backend, float32, float32Data } from "../backend.ts";
import { type AttentionOperator, testAttention } from "./attention_conformance.ts";
import {
  BIASED,
  blockOf,
  HIDDEN,
  NORM,
  residual,
  toleranceOf,
  type Weights,
  weightsOf,
} from "./blocks.ts";
import { linear, linearTransposed, maxAbsDifference } from "./reference.ts";
import { values } from "./values.ts";

function expectedMlp(block: Block, { data, optional }: Weights, hidden: Float32Array) {
  return residual(block, data("norm"), hidden, (x) => {
    const gated = linear(x, data("gate"), HIDDEN, optional("gate_bias"));
    const raised = linear(x, data("up"), HIDDEN, optional("up_bias"));
    const product = gated.map((g, j) => g / (1 + Math.exp(-g)) * raised[j]);
    const channels = data("down").length / HIDDEN;
    return linearTransposed(product, data("down"), channels, optional("down_bias"));
  });
}

async function checkMlp(backend: Backend, variety: ArchitectureChange) {
  const block = blockOf({ mlp: { intermediateSize: 40 } }, variety);
  const run = await backend.compile(blockGraph(block, { hiddenSize: HIDDEN, norm: NORM }));
  for (const [batch, length, channels] of [[1, 3, 40], [7, 1, 9], [2, 3, 9], [1, 1, 1]]) {
    const weights = weightsOf(block, { channels });
    const hidden = values(batch * length * HIDDEN, 20);
    const fetches = await run.run({
      ...weights.feeds,
      hidden: float32(hidden, [batch, length, HIDDEN]),
    });
    assert.deepEqual(fetches.out.dims, [batch * length, HIDDEN]);
    const expected = expectedMlp(block, weights, hidden);
    const difference = maxAbsDifference(float32Data(fetches, "out"), expected);
    assert.ok(difference < toleranceOf(block), `${channels} channels: ${difference}`);
  }
}

const MLPS: readonly [what: string, variety: ArchitectureChange][] = [
  ["", {}],
  [" with biases", BIASED],
  [" with its norm behind it", { placement: "post" }],
];

/**
 * That blocks of every make are computed rightly, by every operator that an engine does not refuse.
 */
export function testBlocks(
  test: (what: string, body: (backend: Backend) => Promise<void>) => void,
  refusal: (backend: Backend, onnx: Uint8Array, op: string) => Promise<void>,
  refuses: readonly AttentionOperator[],
) {
  for (const [what, variety] of MLPS) {
    test(
      `MLP block${what}, any width and length in one executable`,
      (backend) => checkMlp(backend, variety),
    );
  }
  testAttention(test, refusal, refuses);
}
