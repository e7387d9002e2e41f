import assert from "node:assert/strict";
import { UnsupportedOpError } from "@lopper/core";
import {
  attentionBlock,
  type AttentionBlockOptions,
  type AttentionOp,
  crossEntropyHead,
  embedding,
  GraphBuilder,
  logitsHead,
  logProbsHead,
  mlpBlock,
} from "@lopper/graphs";
import { type Backend, bool, type Feeds, float32, float32Data, int32, int64 } from "../backend.ts";
import {
  causalAttention,
  linear,
  linearTransposed,
  maxAbsDifference,
  rmsNorm,
  rotate,
} from "./reference.ts";

/** float32 sums of a few hundred terms of size about 1 against float64. */
const TOLERANCE = 2e-5;

/** The ways to compute attention that are an operator of their own, which an engine may lack. */
const ATTENTION_OPERATORS = { gqa: "GroupQueryAttention", attention: "Attention" } as const;

export interface ConformanceOptions {
  /** Attention operators that the engine's device does not compute, or not rightly: their graphs must be refused. */
  readonly refuses?: readonly (keyof typeof ATTENTION_OPERATORS)[];
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
          await backend.dispose();
        }
      },
    });

  test("describes itself", (backend) => {
    const { description } = backend;
    assert.equal(description.name, name);
    assert.match(description.engine, engine);
    assert.ok(description.threads >= 1);
    assert.ok(!(refuses as readonly string[]).includes(description.attentionOp));
    return Promise.resolve();
  });

  for (const bias of [false, true]) {
    test(`MLP block${bias ? " with biases" : ""}, two widths and lengths in one executable`, async (backend) => {
      const h = 24, eps = 1e-5;
      const run = await backend.compile(mlpBlock({ hiddenSize: h, eps, bias }));
      for (const [n, i] of [[3, 40], [7, 9], [1, 1]]) {
        const hidden = values(n * h, 1), norm = values(h, 2, 1);
        const [gate, up, down] = [3, 4, 5].map((seed) => values(i * h, seed));
        const [gateBias, upBias, downBias] = [values(i, 6), values(i, 7), values(h, 8)];
        const fetches = await run.run({
          hidden: float32(hidden, [n, h]),
          norm: float32(norm, [h]),
          gate: float32(gate, [i, h]),
          up: float32(up, [i, h]),
          down: float32(down, [i, h]),
          ...(bias && {
            gate_bias: float32(gateBias, [i]),
            up_bias: float32(upBias, [i]),
            down_bias: float32(downBias, [h]),
          }),
        });
        const x = rmsNorm(hidden, norm, eps);
        const gated = linear(x, gate, h, bias ? gateBias : undefined);
        const raised = linear(x, up, h, bias ? upBias : undefined);
        const product = gated.map((g, j) => g / (1 + Math.exp(-g)) * raised[j]);
        const lowered = linearTransposed(product, down, i, bias ? downBias : undefined);
        const expected = lowered.map((value, j) => value + hidden[j]);
        assert.deepEqual(fetches.out.dims, [n, h]);
        assert.ok(maxAbsDifference(float32Data(fetches, "out"), expected) < TOLERANCE);
      }
    });
  }

  const heads: [what: string, options: Partial<AttentionBlockOptions>][] = [
    ["grouped heads", { queryHeads: 6, kvHeads: 2 }],
    ["one KV head", { queryHeads: 4, kvHeads: 1 }],
    ["as many KV heads as query heads", { queryHeads: 3, kvHeads: 3 }],
    ["biases", { queryHeads: 4, kvHeads: 2, qkvBias: true, outputBias: true }],
    ["q/k norms", { queryHeads: 4, kvHeads: 2, qkNorm: true }],
  ];
  for (const op of refuses) {
    test(`attention block by ${op} is refused`, (backend) =>
      refusal(
        backend,
        attentionBlock(blockOptions(op, { queryHeads: 4, kvHeads: 2 }, false)),
        ATTENTION_OPERATORS[op],
      ));
  }
  for (const op of ["gqa", "attention", "plain"] as const) {
    if ((refuses as readonly AttentionOp[]).includes(op)) continue;
    for (const [what, options] of heads) {
      test(`attention block by ${op}, ${what}`, (backend) => checkAttention(backend, op, options));
    }
    test(`attention block by ${op}, a KV cache continues a text`, (backend) =>
      checkCache(backend, op));
    if (op === "gqa") continue;
    test(`attention block by ${op}, odd head size and changing head counts in one executable`, (backend) =>
      checkAttention(backend, op, { headDim: 6, queryHeads: 4, kvHeads: 2 }, [[2, 1], [6, 3]]));
  }

  for (const logSoftmax of [true, false]) {
    const how = logSoftmax ? "by LogSoftmax" : "without LogSoftmax";
    test(`head: logits, log-probabilities and cross-entropies with distributions, ${how}`, async (backend) => {
      const options = { hiddenSize: 16, vocabSize: 50, eps: 1e-6, logSoftmax };
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

  const refusal = (backend: Backend, onnx: Uint8Array, op: string) =>
    assert.rejects(backend.compile(onnx), (error) => {
      assert.ok(error instanceof UnsupportedOpError, String(error));
      assert.equal(error.op, op);
      assert.equal(error.backend, name);
      return true;
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

const EPS = 1e-6;

function attentionCase(
  options: Partial<AttentionBlockOptions>,
  queryHeads: number,
  kvHeads: number,
) {
  const h = 20, d = options.headDim ?? 16, positions = 80;
  const q = queryHeads * d, kv = kvHeads * d;
  const weights: Record<string, [Float32Array, number[]]> = {
    norm: [values(h, 1, 1), [h]],
    q: [values(q * h, 2), [q, h]],
    k: [values(kv * h, 3), [kv, h]],
    v: [values(kv * h, 4), [kv, h]],
    o: [values(q * h, 5), [q, h]],
    ...(options.qkvBias && {
      q_bias: [values(q, 6), [q]],
      k_bias: [values(kv, 7), [kv]],
      v_bias: [values(kv, 8), [kv]],
    }),
    ...(options.outputBias && { o_bias: [values(h, 9), [h]] }),
    ...(options.qkNorm && { q_norm: [values(d, 10, 1), [d]], k_norm: [values(d, 11, 1), [d]] }),
    cos: [values(positions * d / 2, 12), [positions, d / 2]],
    sin: [values(positions * d / 2, 13), [positions, d / 2]],
  };
  const feeds: Feeds = Object.fromEntries(
    Object.entries(weights).map(([name, [data, dims]]) => [name, float32(data, dims)]),
  );
  const data = (name: string) => weights[name]?.[0];

  /** One sequence `[T, h]` through the block, in float64. */
  const expected = (hidden: Float32Array) => {
    const x = rmsNorm(hidden, data("norm"), EPS);
    let [qs, ks] = [
      linear(x, data("q"), h, data("q_bias")),
      linear(x, data("k"), h, data("k_bias")),
    ];
    const vs = linear(x, data("v"), h, data("v_bias"));
    if (options.qkNorm) {
      qs = rmsNorm(qs, data("q_norm"), EPS);
      ks = rmsNorm(ks, data("k_norm"), EPS);
    }
    const at = (t: number) => t;
    const context = causalAttention(
      rotate(qs, queryHeads, d, at, data("cos"), data("sin")),
      rotate(ks, kvHeads, d, at, data("cos"), data("sin")),
      vs,
      queryHeads,
      kvHeads,
      d,
    );
    return linearTransposed(context, data("o"), q, data("o_bias")).map((y, i) => y + hidden[i]);
  };
  return { h, d, feeds, expected };
}

function blockOptions(
  op: AttentionOp,
  options: Partial<AttentionBlockOptions>,
  kvCache: boolean,
): AttentionBlockOptions {
  return {
    op,
    hiddenSize: 20,
    headDim: 16,
    queryHeads: 1,
    kvHeads: 1,
    eps: EPS,
    qkvBias: false,
    outputBias: false,
    qkNorm: false,
    ...options,
    kvCache,
  };
}

function positionFeeds(op: AttentionOp, batch: number, past: number, length: number): Feeds {
  const total = past + length;
  return op === "gqa"
    ? { seqlens: int32(new Array(batch).fill(total - 1), [batch]), total: int32([total], [1]) }
    : {
      positions: int64(
        Array.from({ length: batch * length }, (_, i) => past + i % length),
        [batch, length],
      ),
    };
}

async function checkAttention(
  backend: Backend,
  op: AttentionOp,
  options: Partial<AttentionBlockOptions>,
  moreHeads: [queryHeads: number, kvHeads: number][] = [],
) {
  const run = await backend.compile(attentionBlock(blockOptions(op, options, false)));
  const counts = [[options.queryHeads!, options.kvHeads!], ...moreHeads];
  for (const [queryHeads, kvHeads] of counts) {
    const { h, feeds, expected } = attentionCase(options, queryHeads, kvHeads);
    // engines have other kernels for longer texts
    for (const [batch, length] of [[1, 5], [3, 9], [2, 1], [2, 70]]) {
      const hidden = values(batch * length * h, 20);
      const fetches = await run.run({
        ...feeds,
        ...positionFeeds(op, batch, 0, length),
        hidden: float32(hidden, [batch, length, h]),
      });
      const out = float32Data(fetches, "out");
      for (let b = 0; b < batch; b++) {
        const [from, to] = [b * length * h, (b + 1) * length * h];
        const difference = maxAbsDifference(
          out.subarray(from, to),
          expected(hidden.subarray(from, to)),
        );
        assert.ok(difference < TOLERANCE, `batch ${batch}, length ${length}: ${difference}`);
      }
    }
  }
}

async function checkCache(backend: Backend, op: AttentionOp) {
  const options = { queryHeads: 4, kvHeads: 2 };
  const { h, d, feeds, expected } = attentionCase(options, 4, 2);
  const run = await backend.compile(attentionBlock(blockOptions(op, options, true)));
  const length = 47;
  const hidden = values(length * h, 21);
  const whole = expected(hidden);
  let [keys, past] = [new Float32Array(0), new Float32Array(0)];
  let done = 0;
  for (const step of [3, 1, 1, 2, 35, 1, 4]) {
    const fetches = await run.run({
      ...feeds,
      ...positionFeeds(op, 1, done, step),
      hidden: float32(hidden.subarray(done * h, (done + step) * h), [1, step, h]),
      past_key: float32(keys, [1, 2, done, d]),
      past_value: float32(past, [1, 2, done, d]),
    });
    const out = float32Data(fetches, "out");
    const difference = maxAbsDifference(out, whole.subarray(done * h, (done + step) * h));
    assert.ok(difference < TOLERANCE, `after ${done} tokens: ${difference}`);
    keys = new Float32Array(float32Data(fetches, "present_key"));
    past = new Float32Array(float32Data(fetches, "present_value"));
    done += step;
    assert.deepEqual(fetches.present_key.dims, [1, 2, done, d]);
  }
}

/** Reproducible values of size about 0.5 around `center`. */
function values(n: number, seed: number, center = 0): Float32Array {
  return Float32Array.from(
    { length: n },
    (_, i) => center + 0.5 * Math.sin(seed * 12.9898 + i * (1.7 + 0.13 * seed)),
  );
}
