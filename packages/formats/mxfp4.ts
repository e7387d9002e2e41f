/** MXFP4 (OCP Microscaling Formats 1.0): codes of 4 bits (E2M1) under a scale of 8 (E8M0). */

/** How many codes there are. */
export const MXFP4_CODES = 16;
const SCALES = 256;
/** What the first codes stand for (section 5.3.3); those from 8 on are the same, negative. */
const MAGNITUDES = [0, 0.5, 1, 1.5, 2, 3, 4, 6];
const NEGATIVE = 0x80000000;

/**
 * Float32 of each code under each scale, as bits: `[256 · 16]`, of 2^(scale − 127)·value. What is
 * too large is infinite.
 */
export function mxfp4Bits(): Uint32Array {
  const bits = new Uint32Array(SCALES * MXFP4_CODES);
  for (let scale = 0; scale < SCALES; scale++) {
    for (const [code, magnitude] of MAGNITUDES.entries()) {
      const at = scale * MXFP4_CODES + code;
      bits[at] = float32Bits(magnitude * 2 ** (scale - 127));
      bits[at + MAGNITUDES.length] = bits[at] | NEGATIVE;
    }
  }
  return bits;
}

/** Of a value ≥ 0 that float32 holds, also where an engine has switched denormals off. */
function float32Bits(value: number): number {
  // Denormal float32 are multiples of 2⁻¹⁴⁹, and their bits say how many.
  if (value < 2 ** -126) return value * 2 ** 149;
  return new Uint32Array(Float32Array.of(value).buffer)[0];
}
