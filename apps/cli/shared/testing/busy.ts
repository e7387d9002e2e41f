/**
 * A program that hears nothing for a minute, since it computes: what a regular expression may do,
 * or a product of matrices.
 */
import { listenForInterruption } from "../terminal/interrupt.ts";

await listenForInterruption();
console.log("busy");
const end = performance.now() + 60_000;
while (performance.now() < end);
