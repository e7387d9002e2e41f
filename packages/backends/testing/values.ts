/** float32 sums of a few hundred terms of size about 1 against float64. */
export const TOLERANCE = 2e-5;

/** Reproducible values of size about 0.5 around `center`. */
export function values(n: number, seed: number, center = 0): Float32Array {
  return Float32Array.from(
    { length: n },
    (_, i) => center + 0.5 * Math.sin(seed * 12.9898 + i * (1.7 + 0.13 * seed)),
  );
}
