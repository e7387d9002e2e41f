/** Straight float64 arithmetic against which backends are checked. All matrices are row-major. */

/** x `[n, k]` · wᵀ for w `[m, k]`, plus an optional bias `[m]`. */
export function linear(x: Float64Array, w: ArrayLike<number>, k: number, bias?: ArrayLike<number>) {
  const n = x.length / k, m = w.length / k;
  const out = new Float64Array(n * m);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < m; j++) {
      let sum = bias?.[j] ?? 0;
      for (let l = 0; l < k; l++) sum += x[i * k + l] * w[j * k + l];
      out[i * m + j] = sum;
    }
  }
  return out;
}

/** x `[n, k]` · w for w `[k, m]`, plus an optional bias `[m]`. */
export function linearTransposed(
  x: Float64Array,
  w: ArrayLike<number>,
  k: number,
  bias?: ArrayLike<number>,
) {
  const m = w.length / k;
  const transposed = Float64Array.from(
    { length: w.length },
    (_, i) => w[(i % k) * m + Math.floor(i / k)],
  );
  return linear(x, transposed, k, bias);
}

/** RMS norm of every row of `width` values. */
export function rmsNorm(x: ArrayLike<number>, weight: ArrayLike<number>, eps: number) {
  const width = weight.length;
  const out = new Float64Array(x.length);
  for (let row = 0; row < x.length / width; row++) {
    let squares = 0;
    for (let i = 0; i < width; i++) squares += x[row * width + i] ** 2;
    const scale = 1 / Math.sqrt(squares / width + eps);
    for (let i = 0; i < width; i++) out[row * width + i] = x[row * width + i] * scale * weight[i];
  }
  return out;
}

/** Heads that are rotated, and by what angles. */
export interface Rotation {
  readonly heads: number;
  readonly headDim: number;
  /** Pairs of channels that are rotated, the first ones of a head. */
  readonly pairs: number;
  /** They are 2i and 2i + 1, instead of i and i + pairs. */
  readonly neighbours: boolean;
  /** The row of the table for a token. */
  readonly position: (token: number) => number;
  /** `[positions, pairs]`, as is `sin`. */
  readonly cos: ArrayLike<number>;
  readonly sin: ArrayLike<number>;
}

/** Rotary embedding of `[tokens, heads, headDim]`. */
export function rotate(
  x: Float64Array,
  { heads, headDim: d, pairs, neighbours, position, cos, sin }: Rotation,
) {
  const out = x.slice();
  for (let t = 0; t < x.length / (heads * d); t++) {
    for (let h = 0; h < heads; h++) {
      const at = (t * heads + h) * d;
      for (let i = 0; i < pairs; i++) {
        const c = cos[position(t) * pairs + i], s = sin[position(t) * pairs + i];
        const one = at + (neighbours ? 2 * i : i), other = neighbours ? one + 1 : one + pairs;
        out[one] = x[one] * c - x[other] * s;
        out[other] = x[other] * c + x[one] * s;
      }
    }
  }
  return out;
}

/** Heads of attention that are computed here, and how their tokens see one another. */
export interface SeenAs {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly scale: number;
  /** Tokens that a query sees, itself included; null for all before it. */
  readonly window: number | null;
  readonly softCap: number | null;
  /** Of each query head. */
  readonly sinks?: ArrayLike<number>;
  readonly slopes?: ArrayLike<number>;
}

/**
 * Causal attention of one sequence: q `[T, heads, d]`, k and v `[T, kvHeads, d]` → `[T, heads, d]`.
 */
export function causalAttention(
  q: Float64Array,
  k: Float64Array,
  v: Float64Array,
  { heads, kvHeads, headDim: d, scale, window, softCap, sinks, slopes }: SeenAs,
) {
  const length = q.length / (heads * d);
  const out = new Float64Array(q.length);
  for (let h = 0; h < heads; h++) {
    const g = Math.floor(h / (heads / kvHeads));
    for (let t = 0; t < length; t++) {
      const first = window === null ? 0 : Math.max(0, t - window + 1);
      const scores = Array.from({ length: t + 1 - first }, (_, s) => {
        let dot = 0;
        for (let i = 0; i < d; i++) {
          dot += q[(t * heads + h) * d + i] * k[((first + s) * kvHeads + g) * d + i];
        }
        const score = dot * scale;
        const capped = softCap === null ? score : softCap * Math.tanh(score / softCap);
        return capped - (slopes?.[h] ?? 0) * (t - first - s);
      });
      const max = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - max));
      const rest = sinks ? Math.exp(sinks[h] - max) : 0;
      const sum = weights.reduce((a, b) => a + b, rest);
      weights.forEach((weight, s) => {
        for (let i = 0; i < d; i++) {
          const value = v[((first + s) * kvHeads + g) * d + i];
          out[(t * heads + h) * d + i] += weight / sum * value;
        }
      });
    }
  }
  return out;
}

export function maxAbsDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity;
  let max = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i] - b[i]);
    // NaN must not pass as small
    if (!(difference <= max)) max = Number.isNaN(difference) ? Infinity : difference;
  }
  return max;
}
