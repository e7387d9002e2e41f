/**
 * Log-probabilities of rows of logits, for readers that give nothing else: logits are these but for
 * a constant in each row.
 */
export function normalised(logits: Float32Array, vocabSize: number): Float32Array {
  const out = new Float32Array(logits.length);
  for (let start = 0; start < logits.length; start += vocabSize) {
    const row = logits.subarray(start, start + vocabSize);
    const max = row.reduce((a, b) => Math.max(a, b));
    const log = max + Math.log(row.reduce((sum, z) => sum + Math.exp(z - max), 0));
    row.forEach((z, i) => out[start + i] = z - log);
  }
  return out;
}
