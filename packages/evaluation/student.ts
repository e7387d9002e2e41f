/** Where bisection ends: Student's t of one degree of freedom, the widest, has 12.7. */
const MAX_T = 16;

/**
 * The t that a Student's t of a whole number of degrees of freedom stays within, on both sides of
 * 0, in 95 of 100 samples: what a normal quantile becomes where the standard error is itself an
 * estimate, of few values.
 *
 * The probability A(t) has a finite series for whole degrees of freedom (Abramowitz and Stegun,
 * Handbook of Mathematical Functions, 26.7.3 and 26.7.4); bisection inverts it.
 * @throws {RangeError} unless there is at least one degree of freedom.
 */
export function studentQuantile95(freedom: number): number {
  if (!(Number.isInteger(freedom) && freedom > 0)) {
    throw new RangeError(`Student's t needs a whole number of degrees of freedom, not ${freedom}`);
  }
  let [low, high] = [0, MAX_T];
  for (;;) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) return middle;
    if (probabilityWithin(middle, freedom) < 0.95) low = middle;
    else high = middle;
  }
}

/** A(t): how probable |T| < t is. */
function probabilityWithin(t: number, freedom: number): number {
  const angle = Math.atan(t / Math.sqrt(freedom));
  const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
  const odd = freedom % 2 === 1;
  let sum = 0;
  // Terms in cos θ, cos³ θ, … for odd degrees of freedom, and 1, cos² θ, … for even ones, up to the
  // power freedom − 2.
  for (let power = odd ? 1 : 0, term = odd ? cos : 1; power <= freedom - 2; power += 2) {
    sum += term;
    term *= (power + 1) / (power + 2) * cos ** 2;
  }
  return odd ? 2 / Math.PI * (angle + sin * sum) : sin * sum;
}
