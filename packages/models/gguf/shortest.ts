/** The shortest decimal that is this float32: what a config.json had before it became one. */
export function shortest(value: number): number {
  const wanted = Math.fround(value);
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === wanted) return short;
  }
  return value;
}
