import { type Architecture, fullyAttended, UnsupportedModelError } from "@lopper/core";

/**
 * @throws {UnsupportedModelError} for sequences whose beginning a layer would not attend to any
 *   more.
 */
export function checkSequenceLength(architecture: Architecture, length: number) {
  const window = fullyAttended(architecture);
  if (window === null || length <= window) return;
  throw new UnsupportedModelError(
    `the model attends to the last ${window} tokens only (sliding_window) and the sequence has ${length}; ` +
      `Lopper needs sequences of at most ${window} tokens (--seq-len ${window})`,
  );
}
