/**
 * Sums of a function of the weights that each inner channel meets in the output projection, in
 * double precision.
 * @param columns the projection transposed, `[channels, hiddenSize]`.
 */
export function overColumns(
  columns: Float32Array,
  channels: number,
  of: (weight: number) => number,
): Float64Array {
  const length = columns.length / channels;
  const sums = new Float64Array(channels);
  for (let c = 0; c < channels; c++) {
    let sum = 0;
    for (let i = c * length; i < (c + 1) * length; i++) sum += of(columns[i]);
    sums[c] = sum;
  }
  return sums;
}
