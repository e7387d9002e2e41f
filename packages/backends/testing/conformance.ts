import assert from "node:assert/strict";
import { UnsupportedOpError } from "@lopper/core";
import {
  crossEntropyHead,
  embedding,
  GraphBuilder,
  logitsHead,
  logProbsHead,
} from "@lopper/graphs";
import { type Backend, bool, type Feeds, float32, float32Data, int64 } from "../backend.ts";
import type { AttentionOperator } from "./attention_conformance.ts";
import { testBlocks } from "./block_conformance.ts";
import { linear, maxAbsDifference, rmsNorm } from "./reference.ts";
import { TOLERANCE, values } from "./values.ts";

const NORM = { kind: "rms", eps: 1e-6 } as const;
const OUTER = ["finalNorm"] as const;

export interface ConformanceOptions {
  /**
   * Attention operators that the engine's device does not compute, or not rightly: their graphs
   * must be refused.
   */
  readonly refuses?: readonly AttentionOperator[];
  /** How the engine is called; onnxruntime's builds unless said. */
  readonly engine?: RegExp;
}

/** What every backend must do; an adapter's test calls it with the way to open one. */
export function testBackend(
  name: string,
  open: () => Promise<Backend>,
  { refuses = [], engine = /^onnxruntime-\w+ \d+\.\d+/ }: ConformanceOptions = {},
) {
  const test = (what: string, body: (backend: Backend) => Promise<void>) =>
    Deno.test({
      name: `${name}: ${what}`,
      // The engines keep thread pools for the life of the process.
      sanitizeOps: false,
      sanitizeResources: false,
      async fn() {
        const backend = await open();
        try {
          await body(backend);
        } finally {
          await backend[Symbol.asyncDispose]();
        }
      },
    });

  const refusal = (backend: Backend, onnx: Uint8Array, op: string) =>
    assert.rejects(backend.compile(onnx), (error) => {
      assert.ok(error instanceof UnsupportedOpError, String(error));
      assert.equal(error.op, op);
      assert.equal(error.backend, name);
      return true;
    });

  test("describes itself", (backend) => {
    const { description } = backend;
    assert.equal(description.name, name);
    assert.match(description.engine, engine);
    assert.ok(description.threads >= 1);
    assert.ok(!(refuses as readonly string[]).includes(description.attentionOp));
    return Promise.resolve();
  });

  testBlocks(test, refusal, refuses);

  for (const logSoftmax of [true, false]) {
    const how = logSoftmax ? "by LogSoftmax" : "without LogSoftmax";
    test(`head: logits, log-probabilities and cross-entropies with distributions, ${how}`, async (backend) => {
      const options = { hiddenSize: 16, vocabSize: 50, norm: NORM, outer: OUTER, logSoftmax };
      const graph = crossEntropyHead(options);
      if (logSoftmax && !backend.description.logSoftmax) {
        return await refusal(backend, graph, "LogSoftmax");
      }
      const n = 5;
      // Logits of up to about 100, whose exponentials float32 cannot hold.
      const head = values(50 * 16, 3).map((x) => 50 * x);
      const feeds = {
        hidden: float32(values(n * 16, 1), [n, 16]),
        norm: float32(values(16, 2, 1), [16]),
        lm_head: float32(head, [50, 16]),
      };
      const logits = linear(rmsNorm(values(n * 16, 1), values(16, 2, 1), 1e-6), head, 16);
      assert.ok(Math.max(...logits) > 90, `${Math.max(...logits)}`);
      const got = await (await backend.compile(logitsHead(options))).run(feeds);
      assert.ok(maxAbsDifference(float32Data(got, "logits"), logits) < 50 * TOLERANCE);
      const logProbs = Array.from({ length: n }, (_, i) => {
        const row = Array.from(logits.subarray(i * 50, (i + 1) * 50));
        const sum = row.reduce((sum, x) => sum + Math.exp(x), 0);
        return row.map((x) => x - Math.log(sum));
      });

      const labels = [0, 49, 7, 7, 31];
      const distributions = [
        // One certain token: the negative log-likelihood.
        labels.map((token) => [[token, 1]]),
        // Some tokens, with what is left for all the others.
        labels.map((token, i) => [[token, 0.5], [(token + 1) % 50, 0.25], [20 + i, 0.125]]),
      ];
      const run = await backend.compile(graph);
      for (const rows of distributions) {
        const dims = [n, rows[0].length];
        const fetches = await run.run({
          ...feeds,
          tokens: int64(rows.flat().map(([token]) => token), dims),
          probabilities: float32(Float32Array.from(rows.flat(), ([, p]) => p), dims),
        });
        const expected = rows.map((row, i) => {
          const of = row.map(([token, p]) => ({ p, q: logProbs[i][token] }));
          const named = of.reduce((sum, { p, q }) => sum - p * q, 0);
          const left = 1 - of.reduce((sum, { p }) => sum + p, 0);
          const others = Math.max(1e-6, 1 - of.reduce((sum, { q }) => sum + Math.exp(q), 0));
          return named - left * Math.log(others);
        });
        const found = float32Data(fetches, "cross_entropy");
        assert.ok(maxAbsDifference(found, expected) < 50 * TOLERANCE, `${found} ${expected}`);
      }

      const all = await (await backend.compile(logProbsHead(options))).run(feeds);
      const found = float32Data(all, "log_probs");
      assert.ok(maxAbsDifference(found, logProbs.flat()) < 50 * TOLERANCE);
    });
  }

  test("embedding picks rows", async (backend) => {
    const run = await backend.compile(embedding({ hiddenSize: 3, vocabSize: 4 }));
    const table = Float32Array.from({ length: 12 }, (_, i) => i);
    const fetches = await run.run({
      ids: int64([3, 0, 3], [3]),
      embedding: float32(table, [4, 3]),
    });
    assert.deepEqual([...float32Data(fetches, "out")], [9, 10, 11, 0, 1, 2, 9, 10, 11]);
  });

  test("fetches are the caller's: a later run does not change them", async (backend) => {
    const run = await backend.compile(embedding({ hiddenSize: 2, vocabSize: 2 }));
    const feeds = (ids: number[]): Feeds => ({
      ids: int64(ids, [1]),
      embedding: float32(Float32Array.of(1, 2, 3, 4), [2, 2]),
    });
    const first = float32Data(await run.run(feeds([0])), "out");
    await run.run(feeds([1]));
    assert.deepEqual([...first], [1, 2]);
  });

  test("a missing feed is named", async (backend) => {
    const run = await backend.compile(embedding({ hiddenSize: 2, vocabSize: 2 }));
    await assert.rejects(run.run({ ids: int64([0], [1]) }), /embedding has no feed/);
  });

  test("an unknown operator is refused by type and name", async (backend) => {
    const g = new GraphBuilder("unknown");
    g.output("out", g.node("NoSuchOperator", [g.input("x", "float32", ["N"])]), "float32", ["N"]);
    await refusal(backend, g.encode(), "NoSuchOperator");
  });

  test("an operator that only the host could run is refused where there is a device", async (backend) => {
    const g = new GraphBuilder("determinant");
    const x = g.input("x", "float32", [2, 2]);
    g.output("out", g.node("Det", [g.node("Add", [x, x])]), "float32", []);
    if (backend.description.residentWeights) return await refusal(backend, g.encode(), "Det");
    const run = await backend.compile(g.encode());
    const fetches = await run.run({ x: float32(Float32Array.of(1, 2, 3, 5), [2, 2]) });
    assert.ok(Math.abs(float32Data(fetches, "out")[0] + 4) < TOLERANCE);
  });

  test("weights given to compile are the executable's, and any number of their rows is used", async (backend) => {
    const [n, m, h] = [3, 10, 7];
    const g = new GraphBuilder("resident");
    const x = g.input("x", "float32", ["N", h]);
    const rows = g.input("rows", "int64", [1]);
    const weight = g.weight("layers.0.w", [m, h]);
    const narrow = g.node("Slice", [weight, g.int64([0]), rows, g.int64([0])]);
    g.output("y", g.node("Gemm", [x, narrow], { transB: 1 }), "float32", ["N", "M"]);
    // a view into a larger buffer
    const given = values(m * h + 5, 2).subarray(5), input = values(n * h, 1);
    const kept = given.slice();
    const run = await backend.compile(g.encode(), { "layers.0.w": given });
    given.fill(NaN);
    for (const width of [m, 1, 4, m]) {
      const fetches = await run.run({ x: float32(input, [n, h]), rows: int64([width], [1]) });
      assert.deepEqual(fetches.y.dims, [n, width]);
      const expected = linear(Float64Array.from(input), kept.subarray(0, width * h), h);
      assert.ok(maxAbsDifference(float32Data(fetches, "y"), expected) < TOLERANCE);
    }
    await assert.rejects(backend.compile(g.encode()), "without its weights");
    await assert.rejects(
      backend.compile(g.encode(), { "layers.0.w": kept.subarray(1) }),
      "too few",
    );
  });

  test("of two branches one runs, and the other not at all", async (backend) => {
    // the highest opset for which every engine has the operator on its device
    const g = new GraphBuilder("branches", 22);
    const x = g.input("x", "float32", ["N"]);
    const shape = g.input("shape", "int64", [1]);
    // fails when it runs, unless the shape has as many values as x
    const reshape = (branch: GraphBuilder) => branch.node("Reshape", [x, shape]);
    const double = (branch: GraphBuilder) => branch.node("Add", [x, x]);
    const keep = g.input("keep", "bool", []);
    g.output("y", g.choose(keep, reshape, double, "float32", ["N"]), "float32", ["N"]);
    const run = await backend.compile(g.encode());
    const choose = (taken: boolean, size: number) =>
      run.run({
        x: float32(Float32Array.of(1, 2), [2]),
        shape: int64([size], [1]),
        keep: bool(taken),
      });
    assert.deepEqual([...float32Data(await choose(false, 3), "y")], [2, 4]);
    assert.deepEqual([...float32Data(await choose(true, 2), "y")], [1, 2]);
    await assert.rejects(choose(true, 3));
  });

  test("bytes that are no graph are an error, and not a refusal", async (backend) => {
    await assert.rejects(
      backend.compile(new Uint8Array([1, 2, 3])),
      (error) => !(error instanceof UnsupportedOpError),
    );
  });

  test("a disposed executable does not run", async (backend) => {
    const run = await backend.compile(embedding({ hiddenSize: 2, vocabSize: 2 }));
    await run.dispose();
    await run.dispose();
    await assert.rejects(run.run({}), /disposed/);
  });
}
