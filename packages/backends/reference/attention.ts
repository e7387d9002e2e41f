import { softmax } from "./matrices.ts";
import { input, type NodeInputs, type Operator } from "./operator.ts";
import { broadcastPlaces, type Tensor, tensor } from "./tensor.ts";

/** Angles by which heads are turned, and which channels of them are turned together. */
interface Turn {
  /** `[P, pairs]`, and so is `sin`; there may be more channels than two for each pair. */
  readonly cos: Tensor;
  readonly sin: Tensor;
  /** 2i and 2i + 1, instead of i and i + pairs. */
  readonly neighbours: boolean;
  /** The row of the table for a token. */
  readonly position: (row: number, token: number) => number;
}

/** Rotates x `[B, heads, T, D]` by the angles of each token (RoFormer, section 3.4.2). */
function rotated(
  { type, dims, data }: Tensor,
  { cos, sin, neighbours, position }: Turn,
): Tensor {
  const [batch, heads, length, width] = dims;
  const pairs = cos.dims[1];
  const out = data.slice();
  for (let run = 0; run < batch * heads * length; run++) {
    const angles = position(Math.floor(run / (heads * length)), run % length) * pairs;
    for (let i = 0; i < pairs; i++) {
      const [c, s] = [cos.data[angles + i], sin.data[angles + i]];
      const one = run * width + (neighbours ? 2 * i : i);
      const other = neighbours ? one + 1 : one + pairs;
      const [x, y] = [data[one], data[other]];
      out[one] = x * c - y * s;
      out[other] = y * c + x * s;
    }
  }
  return tensor(type, dims, out);
}

/**
 * ONNX's RotaryEmbedding reads x, cos, sin and positions; onnxruntime's own has the positions
 * second.
 */
const rotaryEmbedding = (at: { cos: number; positions: number }): Operator => (node) => {
  const [x, positions] = [input(node, 0), input(node, at.positions)];
  if (x.dims.length !== 4) {
    throw new TypeError("rotary embedding of four axes only is computed here");
  }
  const [cos, sin] = [input(node, at.cos), input(node, at.cos + 1)];
  const length = x.dims[2];
  const neighbours = node.attributes.number("interleaved", 0) !== 0;
  const position = (row: number, token: number) => positions.data[row * length + token];
  return [rotated(x, { cos, sin, neighbours, position })];
};

/** Keys or values `[B, KV, S, D]` with those of later tokens behind them. */
function continued(past: Tensor | undefined, now: Tensor): Tensor {
  if (!past) return now;
  const [batch, heads, length, width] = now.dims;
  const before = past.dims[2];
  const data = new Float64Array(batch * heads * (before + length) * width);
  for (let run = 0; run < batch * heads; run++) {
    const at = run * (before + length) * width;
    data.set(past.data.subarray(run * before * width, (run + 1) * before * width), at);
    const from = run * length * width;
    data.set(now.data.subarray(from, from + length * width), at + before * width);
  }
  return tensor(now.type, [batch, heads, before + length, width], data);
}

/** What makes weights of the products of queries and keys. */
interface Scoring {
  readonly scale: number;
  /** Scores s become cap · tanh(s / cap); 0 for none. */
  readonly softCap: number;
  /** For row, head, query and key what is added to the score; -Infinity hides. */
  readonly mask: (row: number, head: number, query: number, key: number) => number;
  /** A score of each head that is no key's. */
  readonly sinks?: Tensor;
}

/**
 * softmax(capped(scale · q · kᵀ) + mask) · v: q `[B, heads, T, D]`, k and v `[B, KV, S, D]`, heads
 * in groups of heads / KV.
 */
function attend(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { scale, softCap, mask, sinks }: Scoring,
): Tensor {
  const [batch, heads, length, width] = q.dims;
  const [, kvHeads, total] = k.dims;
  const out = new Float64Array(batch * heads * length * width);
  for (let row = 0; row < batch; row++) {
    for (let head = 0; head < heads; head++) {
      const kv = (row * kvHeads + Math.floor(head / (heads / kvHeads))) * total;
      for (let query = 0; query < length; query++) {
        const at = ((row * heads + head) * length + query) * width;
        const scores = Array.from({ length: total }, (_, key) => {
          let dot = 0;
          for (let i = 0; i < width; i++) dot += q.data[at + i] * k.data[(kv + key) * width + i];
          const score = dot * scale;
          const capped = softCap === 0 ? score : softCap * Math.tanh(score / softCap);
          return capped + mask(row, head, query, key);
        });
        const weights = softmax(Float64Array.of(...scores, ...sinks ? [sinks.data[head]] : []));
        weights.subarray(0, total).forEach((weight, key) => {
          for (let i = 0; i < width; i++) out[at + i] += weight * v.data[(kv + key) * width + i];
        });
      }
    }
  }
  return tensor(q.type, q.dims, out);
}

/** How an operator says it. */
function scoringOf({ attributes }: NodeInputs, width: number) {
  return {
    scale: attributes.number("scale", 0) || 1 / Math.sqrt(width),
    softCap: attributes.number("softcap", 0),
  };
}

/** ONNX 23's Attention on four axes; queries are those of the last tokens. */
function attention(node: NodeInputs): readonly Tensor[] {
  const [q, k, v] = [0, 1, 2].map((i) => input(node, i));
  const [, , , given, pastKey, pastValue] = node.inputs;
  if (q.dims.length !== 4) throw new TypeError("attention of four axes only is computed here");
  const [keys, values] = [continued(pastKey, k), continued(pastValue, v)];
  const [length, total] = [q.dims[2], keys.dims[2]];
  const past = total - k.dims[2];
  const dims = [q.dims[0], q.dims[1], length, total];
  const places = given && Uint32Array.from(broadcastPlaces(given.dims, dims));
  const causal = node.attributes.number("is_causal", 0) !== 0;
  const out = attend(q, keys, values, {
    ...scoringOf(node, q.dims[3]),
    mask: (row, head, query, key) => {
      if (causal && key > past + query) return -Infinity;
      if (!places) return 0;
      return given.data[places[((row * dims[1] + head) * length + query) * total + key]];
    },
  });
  return [out, keys, values];
}

/** `[B, T, heads · D]` → `[B, heads, T, D]`, or back with `joined`. */
function byHead({ type, dims: [batch, length, size], data }: Tensor, heads: number): Tensor {
  const width = size / heads;
  const out = new Float64Array(data.length);
  for (let token = 0; token < batch * length; token++) {
    const [row, t] = [Math.floor(token / length), token % length];
    for (let head = 0; head < heads; head++) {
      const from = (token * heads + head) * width;
      out.set(data.subarray(from, from + width), ((row * heads + head) * length + t) * width);
    }
  }
  return tensor(type, [batch, heads, length, width], out);
}

function joinedHeads({ type, dims: [batch, heads, length, width], data }: Tensor): Tensor {
  const turned = byHead(tensor(type, [batch, heads, length * width], data), length);
  return tensor(type, [batch, length, heads * width], turned.data);
}

/**
 * com.microsoft.GroupQueryAttention: rows end at `seqlens_k`, and their queries are those of the
 * last tokens.
 */
function groupQueryAttention(node: NodeInputs): readonly Tensor[] {
  const [query, key, value] = [0, 1, 2].map((i) => input(node, i));
  const { inputs: [, , , pastKey, pastValue], attributes } = node;
  const ends = input(node, 5);
  const [heads, kvHeads] = ["num_heads", "kv_num_heads"].map((name) => attributes.number(name, 0));
  const window = attributes.number("local_window_size", -1);
  const length = query.dims[1];
  const position = (row: number, token: number) => ends.data[row] + 1 - length + token;
  const turn = (x: Tensor, count: number) => turnedHeads(node, byHead(x, count), position);
  const keys = continued(pastKey, turn(key, kvHeads));
  const values = continued(pastValue, byHead(value, kvHeads));
  const out = attend(turn(query, heads), keys, values, {
    ...scoringOf(node, query.dims[2] / heads),
    mask: (row, _, token, key) => {
      const at = position(row, token);
      return key > at || (window > 0 && key <= at - window) ? -Infinity : 0;
    },
    sinks: node.inputs[11],
  });
  return [joinedHeads(out), keys, values];
}

function turnedHeads(node: NodeInputs, x: Tensor, position: Turn["position"]): Tensor {
  if (node.attributes.number("do_rotary", 0) === 0) return x;
  const neighbours = node.attributes.number("rotary_interleaved", 0) !== 0;
  return rotated(x, { cos: input(node, 7), sin: input(node, 8), neighbours, position });
}

export const ATTENTION: Readonly<Record<string, Operator>> = {
  RotaryEmbedding: rotaryEmbedding({ cos: 1, positions: 3 }),
  "com.microsoft.RotaryEmbedding": rotaryEmbedding({ cos: 2, positions: 1 }),
  Attention: attention,
  "com.microsoft.GroupQueryAttention": groupQueryAttention,
};
