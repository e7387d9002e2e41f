/**
 * How llama.cpp looks for the scale of a group of values (ggml-quants.c): all arithmetic is that of
 * float32, one operation after the other, so that the bits are the same.
 */

const f = Math.fround;
/** Below this, a group is all zeros (GROUP_MAX_EPS). */
export const NOTHING = f(1e-15);
/** 1.5 · 2²³: what is added to it is rounded to a whole number, halves to even ones. */
const ROUNDING = 12_582_912;

/** A float32 below 2²² rounded to a whole number, halves to even ones (`nearest_int`). */
export function nearest(value: number): number {
  return f(value + ROUNDING) - ROUNDING;
}

/** Which inverse scales are tried: for `tries` + 1 of them, (first + step · i + top) / range. */
export interface ScaleTries {
  readonly first: number;
  readonly step: number;
  readonly tries: number;
}

/**
 * Looks for a scale and a minimum of `count` values, such that the weighted squared error of
 * scale · code − minimum is least for codes from 0 to `top` (`make_qkx2_quants`). The minimum is
 * not negative: zero is always within reach.
 */
export class AffineSearch {
  readonly #count: number;
  readonly #top: number;
  readonly #tries: ScaleTries;
  readonly #tried: Uint8Array;
  /** Of the values that were looked at last. */
  readonly codes: Uint8Array;
  scale = 0;
  minimum = 0;

  constructor(count: number, top: number, { first, step, tries }: ScaleTries) {
    this.#count = count;
    this.#top = top;
    this.#tries = { first: f(first), step: f(step), tries };
    this.codes = new Uint8Array(count);
    this.#tried = new Uint8Array(count);
  }

  /** @param weights of the values, the first of which is at `from`. */
  run(values: Float32Array, from: number, weights: Float32Array) {
    const count = this.#count;
    let least = values[from], largest = least;
    let sumW = weights[0], sumX = f(sumW * least);
    for (let i = 1; i < count; i++) {
      const x = values[from + i];
      if (x < least) least = x;
      if (x > largest) largest = x;
      sumW = f(sumW + weights[i]);
      sumX = f(sumX + f(weights[i] * x));
    }
    if (least > 0) least = 0;
    if (largest === least) {
      this.codes.fill(0);
      this.scale = 0;
      this.minimum = -least;
      return;
    }
    const inverse = f(this.#top / f(largest - least));
    this.#round(this.codes, values, from, inverse, least);
    let scale = f(1 / inverse);
    let lowest = this.#error(this.codes, values, from, weights, scale, least);
    const { first, step, tries } = this.#tries;
    const tried = this.#tried;
    for (let i = 0; i <= tries; i++) {
      // From the best minimum so far on.
      const inverse = f(f(f(first + f(step * i)) + this.#top) / f(largest - least));
      this.#round(tried, values, from, inverse, least);
      let sumL = 0, sumL2 = 0, sumXL = 0;
      for (let j = 0; j < count; j++) {
        const wl = f(weights[j] * tried[j]);
        sumL = f(sumL + wl);
        sumL2 = f(sumL2 + f(wl * tried[j]));
        sumXL = f(sumXL + f(wl * values[from + j]));
      }
      const determinant = f(f(sumW * sumL2) - f(sumL * sumL));
      if (!(determinant > 0)) continue;
      let ownScale = f(f(f(sumW * sumXL) - f(sumX * sumL)) / determinant);
      let ownLeast = f(f(f(sumL2 * sumX) - f(sumL * sumXL)) / determinant);
      if (ownLeast > 0) {
        ownLeast = 0;
        ownScale = f(sumXL / sumL2);
      }
      const error = this.#error(tried, values, from, weights, ownScale, ownLeast);
      if (error < lowest) {
        this.codes.set(tried);
        [lowest, scale, least] = [error, ownScale, ownLeast];
      }
    }
    this.scale = scale;
    this.minimum = -least;
  }

  #round(codes: Uint8Array, values: Float32Array, from: number, inverse: number, least: number) {
    const top = this.#top;
    for (let i = 0; i < codes.length; i++) {
      const code = nearest(f(inverse * f(values[from + i] - least)));
      codes[i] = code < 0 ? 0 : code > top ? top : code;
    }
  }

  #error(
    codes: Uint8Array,
    values: Float32Array,
    from: number,
    weights: Float32Array,
    scale: number,
    least: number,
  ): number {
    let sum = 0;
    for (let i = 0; i < codes.length; i++) {
      const off = f(f(f(scale * codes[i]) + least) - values[from + i]);
      sum = f(sum + f(weights[i] * f(off * off)));
    }
    return sum;
  }
}

/** Inverse scales that are tried, in tenths of a step more or less at the largest value. */
const TENTHS = [-9, -8, -7, -6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9];

/**
 * Looks for the scale of `count` values such that the weighted squared error of scale · code is
 * least for codes from −half to half − 1 (`make_qx_quants`, `rmse_type` 1). Where no weights are
 * given, the square of each value is its own.
 */
export function symmetricScale(
  values: Float32Array,
  from: number,
  { count, half, weights }: {
    readonly count: number;
    readonly half: number;
    readonly weights?: Float32Array | null;
  },
  codes: Uint8Array,
): number {
  let extreme = 0, size = 0;
  for (let i = 0; i < count; i++) {
    const own = Math.abs(values[from + i]);
    if (own > size) [size, extreme] = [own, values[from + i]];
  }
  if (size < NOTHING) {
    codes.fill(0, 0, count);
    return 0;
  }
  let scale = 0, best = 0;
  for (let attempt = -1; attempt < TENTHS.length; attempt++) {
    const steps = attempt < 0 ? half : f(half + f(f(0.1) * TENTHS[attempt]));
    const inverse = f(-steps / extreme);
    let sumXL = 0, sumL2 = 0;
    for (let i = 0; i < count; i++) {
      const x = values[from + i];
      const step = within(nearest(f(inverse * x)), half);
      const w = weights ? weights[i] : f(x * x);
      sumXL = f(sumXL + f(f(w * x) * step));
      sumL2 = f(sumL2 + f(f(w * step) * step));
    }
    const isBetter = attempt < 0 ||
      (sumL2 > 0 && f(sumXL * sumXL) > f(best * sumL2));
    if (!isBetter) continue;
    for (let i = 0; i < count; i++) {
      codes[i] = half + within(nearest(f(inverse * values[from + i])), half);
    }
    scale = sumL2 === 0 ? 0 : f(sumXL / sumL2);
    best = f(scale * sumXL);
  }
  return scale;
}

function within(step: number, half: number): number {
  return step < -half ? -half : step > half - 1 ? half - 1 : step;
}
