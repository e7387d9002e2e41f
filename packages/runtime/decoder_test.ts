import { type Backend, openBackend } from "@lopper/backends";
import {
  denseShape,
  fullyAttended,
  headCostInBlocks,
  headsOf,
  type Shape,
  sizeOf,
} from "@lopper/core";
import { maxAbsDifference } from "@lopper/backends/testing";
import { openModel } from "@lopper/models";
import { FileFolder } from "@lopper/files";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { ATTENTION_CHUNK } from "./attention_op.ts";
import { Decoder } from "./decoder.ts";
import { forwardFrom, sequenceLogits } from "./forward.ts";
import { headRows } from "./heads.ts";
import type { HiddenStates, KeyValues } from "./hidden_states.ts";
import { LaidOutWeights, type LoadOptions } from "./weight_layout.ts";

const FIXTURES = fileURLToPath(new URL("../../tests/fixtures/families", import.meta.url));
const DEMO = fileURLToPath(new URL("../demo-model/data/model", import.meta.url));
const SEQUENCES = [[1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1], [7, 7, 8, 8, 9, 9]];
const TOKENS = 18;

function engineTest(
  name: string,
  family: string,
  fn: (decoder: Decoder) => Promise<void>,
  options: LoadOptions = {},
) {
  Deno.test({
    name: `decoder: ${name}`,
    // The engine keeps a thread pool for the life of the process.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const { backend } = await openBackend("cpu", { threads: 1 });
      const folder = family === "demo" ? DEMO : `${FIXTURES}/${family}`;
      const model = await openModel(new FileFolder(folder));
      const weights = await LaidOutWeights.load(model, options);
      const decoder = new Decoder(backend, weights);
      try {
        await fn(decoder);
      } finally {
        await decoder.dispose();
        await backend[Symbol.asyncDispose]();
        model[Symbol.dispose]();
      }
    },
  });
}

/** Block-tokens that `work` adds. */
async function costOf(decoder: Decoder, work: () => Promise<unknown>): Promise<number> {
  const before = decoder.blockTokens;
  await work();
  return decoder.blockTokens - before;
}

engineTest("embedding costs nothing, and every block its tokens", "qwen3", async (decoder) => {
  const shape = denseShape(decoder.blocks);
  const input = await decoder.embed(SEQUENCES);
  assert.equal(decoder.blockTokens, 0);
  for (const block of shape.keys()) {
    assert.equal(await costOf(decoder, () => decoder.runBlock(block, shape, input)), TOKENS);
  }
  assert.equal(
    await costOf(decoder, () => forwardFrom(decoder, shape, 3, input)),
    (shape.length - 3) * TOKENS,
  );
});

/** What a norm makes of rows, in double precision. */
async function normed(decoder: Decoder, number: number, rows: Float32Array) {
  const { hiddenSize, norm: { kind, eps } } = decoder.architecture;
  const weights = await decoder.weights.block(number, sizeOf(decoder.blocks[number]));
  const vector = (name: string, value: number) =>
    weights.find((weight) => weight.name === name)?.data ??
      new Float32Array(hiddenSize).fill(value);
  const plus = kind.endsWith("1p") ? 1 : 0;
  const [gain, bias] = [vector("norm", 1 - plus), vector("norm_bias", 0)];
  return rows.map((_, i) => {
    const at = i - i % hiddenSize;
    const row = rows.subarray(at, at + hiddenSize);
    const mean = kind.startsWith("layer") ? row.reduce((sum, x) => sum + x, 0) / hiddenSize : 0;
    const squares = row.reduce((sum, x) => sum + (x - mean) ** 2, 0) / hiddenSize;
    const scaled = (rows[i] - mean) / Math.sqrt(squares + eps);
    return scaled * (gain[i % hiddenSize] + plus) + bias[i % hiddenSize];
  });
}

for (const family of ["llama-mha", "gemma3", "olmo2", "starcoder2", "stablelm-parallel"]) {
  engineTest(
    `what enters a block is what its norm makes of what it reads: ${family}`,
    family,
    async (decoder) => {
      const shape = denseShape(decoder.blocks);
      let hidden = await decoder.embed(SEQUENCES);
      for (const [number, { parallel, placement }] of decoder.blocks.entries()) {
        const entering = await decoder.blockInput(number, hidden);
        const read = parallel ? hidden.base ?? hidden.data : hidden.data;
        const wanted = placement === "post" ? read : await normed(decoder, number, read);
        assert.ok(maxAbsDifference(entering, wanted) < 1e-4, `block ${number}`);
        hidden = await decoder.runBlock(number, shape, hidden);
      }
    },
  );
}

engineTest("a removed block costs nothing and changes nothing", "qwen3", async (decoder) => {
  const input = await decoder.embed(SEQUENCES);
  const none: Shape = decoder.blocks.map(() => null);
  const cost = await costOf(decoder, async () => {
    assert.equal(await forwardFrom(decoder, none, 0, input), input);
    const { hidden, present } = await decoder.runCached(none, input, null);
    assert.equal(hidden, input);
    assert.deepEqual(present, none.map(() => null));
  });
  assert.equal(cost, 0);
});

for (
  const [op, operator] of [["gqa", "GroupQueryAttention"], ["attention", "Attention"]] as const
) {
  engineTest(
    `${operator}: a long sequence in chunks is the same without`,
    "demo",
    async (whole) => {
      const { backend, weights } = whole;
      const graphs: Uint8Array[] = [];
      const recording: Backend = {
        description: { ...backend.description, attentionOp: op },
        compile(onnx, weights) {
          graphs.push(onnx);
          return backend.compile(onnx, weights);
        },
        [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
      };
      const decoder = new Decoder(recording, weights);
      const { vocabSize } = decoder.architecture;
      const shape = denseShape(decoder.blocks);
      // An operator's name stands in the graph as text behind its length.
      const mark = `"${String.fromCharCode(operator.length)}${operator}`;
      const chunks = (onnx: Uint8Array) =>
        new TextDecoder("latin1").decode(onnx).split(mark).length - 1;
      const cases = [
        { length: 2 * ATTENTION_CHUNK - 1, wanted: [1] },
        { length: 2 * ATTENTION_CHUNK, wanted: [1, 2] },
        // not equally long
        { length: 3 * ATTENTION_CHUNK + 1, wanted: [1, 2, 3] },
      ];
      for (const { length, wanted } of cases) {
        const ids = Array.from({ length }, (_, i) => (i * 7919) % vocabSize);
        const one = await decoder.runBlock(0, shape, await decoder.embed([ids]));
        // GroupQueryAttention does not go in chunks for more sequences than one.
        const two = await whole.runBlock(0, shape, await whole.embed([ids, ids]));
        const difference = one.data.reduce((d, x, i) => Math.max(d, Math.abs(x - two.data[i])), 0);
        assert.ok(difference < 1e-6, `length ${length}: off by ${difference}`);
        assert.deepEqual(graphs.map(chunks).sort(), wanted);
      }
      await decoder.dispose();
    },
  );
}

engineTest(
  "the head costs its multiply-accumulates over a mean block's",
  "qwen3",
  async (decoder) => {
    const { architecture } = decoder;
    const input = await decoder.embed(SEQUENCES);
    // Counted by hand for this fixture's uniform layers: projections, then scores and weighted
    // values of 3.5 positions.
    const { queryHeads, kvHeads } = headsOf(architecture.blocks[0]);
    const attention =
      (2 * queryHeads + 2 * kvHeads) * architecture.headDim * architecture.hiddenSize +
      2 * 3.5 * queryHeads * architecture.headDim;
    const mlp = 3 * sizeOf(architecture.blocks[1]).channels * architecture.hiddenSize;
    const head = architecture.vocabSize * architecture.hiddenSize / ((attention + mlp) / 2);
    const cost = await costOf(decoder, () => decoder.nll(input, new Array(TOKENS).fill(1)));
    assert.ok(Math.abs(cost - TOKENS * head) < 1e-9 * cost, `${cost}, ${TOKENS * head}`);
    const rows = input.data.subarray(0, 2 * architecture.hiddenSize);
    const logits = await costOf(decoder, () => decoder.logits(rows));
    assert.ok(Math.abs(logits - 2 * headCostInBlocks(architecture, 1)) < 1e-9 * logits);
  },
);

engineTest(
  "cached tokens cost each block that is there once",
  "llama-missing-blocks",
  async (decoder) => {
    const shape = denseShape(decoder.blocks);
    assert.ok(shape.length < 2 * decoder.architecture.layerCount, "the fixture has removed blocks");
    let past: readonly (KeyValues | null)[] | null = null;
    for (const ids of [[1, 2, 3, 4], [5], [6]]) {
      const input = await decoder.embed([ids]);
      const before = decoder.blockTokens;
      past = (await decoder.runCached(shape, input, past)).present;
      assert.equal(decoder.blockTokens - before, shape.length * ids.length);
    }
    assert.deepEqual(
      past!.map((kept) => kept?.length ?? null),
      decoder.blocks.map(({ attention }) => attention ? 6 : null),
    );
  },
);

engineTest(
  "the NLL is that of the logits' softmax",
  "qwen3",
  async (decoder) => {
    const { architecture } = decoder;
    const length = 250;
    const sequences = [0, 1, 2].map((s) =>
      Array.from({ length }, (_, i) => (i * i + 3 * s + i) % architecture.vocabSize)
    );
    const labels = sequences.flatMap((ids) => [...ids.slice(1), 0]);
    const hidden = await forwardFrom(
      decoder,
      denseShape(decoder.blocks),
      0,
      await decoder.embed(sequences),
    );
    const nll = await decoder.nll(hidden, labels);
    const logits = await decoder.logits(hidden.data);
    assert.equal(nll.length, 3 * length);
    nll.forEach((value, i) => {
      const row = logits.subarray(i * architecture.vocabSize, (i + 1) * architecture.vocabSize);
      const sum = row.reduce((s, x) => s + Math.exp(x), 0);
      assert.ok(Math.abs(value - (Math.log(sum) - row[labels[i]])) < 1e-4, `position ${i}`);
    });
  },
);

engineTest(
  "a text of several pieces has the predictions and cross-entropies of its parts",
  "demo",
  async (decoder) => {
    const { vocabSize, hiddenSize } = decoder.architecture;
    const length = headRows(vocabSize, decoder.backend.description) + 60;
    const ids = Array.from({ length }, (_, i) => (i * i + 7 * i) % vocabSize);
    const whole = await decoder.embed([ids]);
    const rows = (start: number, end: number): HiddenStates => ({
      batch: 1,
      length: end - start,
      data: whole.data.subarray(start * hiddenSize, end * hiddenSize),
    });
    const end = rows(length - 40, length);
    const predictions = await decoder.predictions(whole, 5);
    const last = await decoder.predictions(end, 5);
    assert.deepEqual(predictions.tokens.subarray(-40 * 5), last.tokens);
    const close = (a: Float32Array, b: Float32Array) =>
      a.length === b.length && a.every((x, i) => Math.abs(x - b[i]) < 1e-4);
    assert.ok(close(predictions.probabilities.subarray(-40 * 5), last.probabilities));
    const entropy = await decoder.crossEntropy(whole, predictions);
    assert.ok(close(entropy.subarray(-40), await decoder.crossEntropy(end, last)));
    assert.ok(!close(entropy.subarray(0, 40), entropy.subarray(-40)), "positions differ");
  },
);

engineTest("sequences of a batch do not see each other", "qwen3", async (decoder) => {
  const together = await sequenceLogits(decoder, SEQUENCES);
  const alone = await Promise.all(SEQUENCES.map((ids) => sequenceLogits(decoder, [ids])));
  const size = together.length / SEQUENCES.length;
  alone.forEach((logits, s) =>
    logits.forEach((x, i) => assert.ok(Math.abs(x - together[s * size + i]) < 1e-5))
  );
});

engineTest(
  "runs that overlap do not see each other's weights, where all share one buffer",
  "demo",
  async (decoder) => {
    const shape = denseShape(decoder.blocks);
    const input = await decoder.embed(SEQUENCES);
    const labels = new Array(TOKENS).fill(1);
    // Each begins at another block, so that at any time all are at different ones.
    const lossFrom = async (block: number) =>
      await decoder.nll(await forwardFrom(decoder, shape, block, input), labels);
    const starts = [0, 1, 2, 3, shape.length];
    const apart: Float32Array[] = [];
    for (const block of starts) apart.push(await lossFrom(block));
    assert.deepEqual(await Promise.all(starts.map(lossFrom)), apart);
    assert.equal(decoder.weights.expandedBytesHeld, 0);
  },
  { expandedBytes: 0 },
);

engineTest("a run that fails does not hold up the next", "demo", async (decoder) => {
  const input = await decoder.embed(SEQUENCES);
  const broken = { ...input, data: input.data.subarray(1) };
  const shape = denseShape(decoder.blocks);
  const [failed, next] = await Promise.allSettled([
    decoder.runBlock(1, shape, broken),
    decoder.runBlock(1, shape, input),
  ]);
  assert.deepEqual([failed.status, next.status], ["rejected", "fulfilled"]);
});

engineTest("ids outside the vocabulary are refused", "qwen3", async (decoder) => {
  const { vocabSize } = decoder.architecture;
  await assert.rejects(decoder.embed([[0, vocabSize]]), /token id \d+ is not in the vocabulary/);
});

for (const op of ["gqa", "attention", "plain"] as const) {
  engineTest(
    `beyond a window, ${op} in chunks and token by token is plain attention`,
    "mistral-sliding",
    async ({ backend, weights }) => {
      const by = (attentionOp: typeof op) =>
        new Decoder({
          description: { ...backend.description, attentionOp },
          compile: (...of) => backend.compile(...of),
          [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
        }, weights);
      const [decoder, plain] = [by(op), by("plain")];
      const { vocabSize, hiddenSize } = decoder.architecture;
      const shape = denseShape(decoder.blocks);
      assert.equal(fullyAttended(decoder.architecture), 8);
      const length = 3 * ATTENTION_CHUNK + 1;
      const sequences = [0, 1].map((s) =>
        Array.from({ length }, (_, i) => (7919 * i + 31 * i * i + s) % vocabSize)
      );
      const hidden = await forwardFrom(plain, shape, 0, await plain.embed(sequences));
      for (const some of [sequences, sequences.slice(0, 1)]) {
        const { data } = await forwardFrom(decoder, shape, 0, await decoder.embed(some));
        const expected = hidden.data.subarray(0, data.length);
        assert.ok(maxAbsDifference(data, expected) < 1e-4, `${some.length} sequences`);
      }
      let past: readonly (KeyValues | null)[] | null = null;
      let done = 0;
      for (const count of [5, 1, 2, 1, 1, 30, 1]) {
        const ids = sequences[0].slice(done, done + count);
        const input = await decoder.embed([ids], ids.map((_, i) => done + i));
        const { hidden: { data }, present } = await decoder.runCached(shape, input, past);
        const expected = hidden.data.subarray(done * hiddenSize, (done + count) * hiddenSize);
        assert.ok(maxAbsDifference(data, expected) < 1e-4, `after ${done} tokens`);
        past = present;
        done += count;
      }
      for (const used of [decoder, plain]) await used.dispose();
    },
  );
}

engineTest(
  "the NLL of more positions than the head takes at a time is that of each sequence",
  "demo",
  async (decoder) => {
    const { vocabSize } = decoder.architecture;
    const length = 400;
    // 12 Mi logits at a time are 3072 positions of this vocabulary
    const sequences = Array.from(
      { length: 16 },
      (_, s) => Array.from({ length }, (_, i) => (31 * i * i + 7 * s + i) % vocabSize),
    );
    assert.ok(sequences.length * length > 2 * 12 * 2 ** 20 / vocabSize);
    const labels = sequences.map((ids) => [...ids.slice(1), 0]);
    const hidden = await decoder.embed(sequences);
    const together = await decoder.nll(hidden, labels.flat());
    for (const [s, ids] of sequences.entries()) {
      const alone = await decoder.nll(await decoder.embed([ids]), labels[s]);
      alone.forEach((value, i) =>
        assert.ok(Math.abs(value - together[s * length + i]) < 1e-4, `sequence ${s}, position ${i}`)
      );
    }
  },
);
