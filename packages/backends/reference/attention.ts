import { softmax } from "./matrices.ts";
import { input, type NodeInputs, type Operator } from "./operator.ts";
import { broadcastPlaces, type Tensor, tensor } from "./tensor.ts";

/**
 * Rotates x `[B, heads, T, D]` in halves by the angles of `positions [B, T]` (RoFormer, section
 * 3.4.2).
 * @param cos `[P, D / 2]`, and so is `sin`.
 */
function rotated(
  { type, dims, data }: Tensor,
  cos: Tensor,
  sin: Tensor,
  position: (row: number, token: number) => number,
): Tensor {
  const [batch, heads, length, width] = dims;
  const half = width / 2;
  const out = new Float64Array(data.length);
  for (let run = 0; run < batch * heads * length; run++) {
    const angles = position(Math.floor(run / (heads * length)), run % length) * half;
    for (let i = 0; i < half; i++) {
      const [c, s] = [cos.data[angles + i], sin.data[angles + i]];
      const [x, y] = [data[run * width + i], data[run * width + half + i]];
      out[run * width + i] = x * c - y * s;
      out[run * width + half + i] = y * c + x * s;
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
  if (x.dims.length !== 4 || node.attributes.number("interleaved", 0) !== 0) {
    throw new TypeError("rotary embedding of four axes and in halves only is computed here");
  }
  const [cos, sin] = [input(node, at.cos), input(node, at.cos + 1)];
  const length = x.dims[2];
  return [rotated(x, cos, sin, (row, token) => positions.data[row * length + token])];
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

/**
 * softmax(q · kᵀ / √D + mask) · v: q `[B, heads, T, D]`, k and v `[B, KV, S, D]`, heads in groups
 * of heads / KV.
 * @param mask for row, head, query and key what is added to the score; -Infinity hides.
 */
function attend(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  mask: (row: number, head: number, query: number, key: number) => number,
): Tensor {
  const [batch, heads, length, width] = q.dims;
  const [, kvHeads, total] = k.dims;
  const out = new Float64Array(batch * heads * length * width);
  for (let row = 0; row < batch; row++) {
    for (let head = 0; head < heads; head++) {
      const kv = (row * kvHeads + Math.floor(head / (heads / kvHeads))) * total;
      for (let query = 0; query < length; query++) {
        const at = ((row * heads + head) * length + query) * width;
        const scores = Float64Array.from({ length: total }, (_, key) => {
          let dot = 0;
          for (let i = 0; i < width; i++) dot += q.data[at + i] * k.data[(kv + key) * width + i];
          return dot / Math.sqrt(width) + mask(row, head, query, key);
        });
        softmax(scores).forEach((weight, key) => {
          for (let i = 0; i < width; i++) out[at + i] += weight * v.data[(kv + key) * width + i];
        });
      }
    }
  }
  return tensor(q.type, q.dims, out);
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
  const out = attend(q, keys, values, (row, head, query, key) => {
    if (causal && key > past + query) return -Infinity;
    if (!places) return 0;
    return given.data[places[((row * dims[1] + head) * length + query) * total + key]];
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
 * com.microsoft.GroupQueryAttention with rotary embedding: rows end at `seqlens_k`, and their
 * queries are those of the last tokens.
 */
function groupQueryAttention(node: NodeInputs): readonly Tensor[] {
  const [query, key, value] = [0, 1, 2].map((i) => input(node, i));
  const [, , , pastKey, pastValue] = node.inputs;
  const [ends, cos, sin] = [5, 7, 8].map((i) => input(node, i));
  const heads = node.attributes.number("num_heads", 0);
  const kvHeads = node.attributes.number("kv_num_heads", 0);
  const window = node.attributes.number("local_window_size", -1);
  const length = query.dims[1];
  const position = (row: number, token: number) => ends.data[row] + 1 - length + token;
  const turn = (x: Tensor, count: number) => rotated(byHead(x, count), cos, sin, position);
  const keys = continued(pastKey, turn(key, kvHeads));
  const values = continued(pastValue, byHead(value, kvHeads));
  const out = attend(
    turn(query, heads),
    keys,
    values,
    (row, _, token, key) => {
      const at = position(row, token);
      return key > at || (window > 0 && key <= at - window) ? -Infinity : 0;
    },
  );
  return [joinedHeads(out), keys, values];
}

export const ATTENTION: Readonly<Record<string, Operator>> = {
  RotaryEmbedding: rotaryEmbedding({ cos: 1, positions: 3 }),
  "com.microsoft.RotaryEmbedding": rotaryEmbedding({ cos: 2, positions: 1 }),
  Attention: attention,
  "com.microsoft.GroupQueryAttention": groupQueryAttention,
};
