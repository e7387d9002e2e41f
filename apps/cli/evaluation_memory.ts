import type { BackendDescription } from "@lopper/backends";
import { InsufficientMemoryError } from "@lopper/core";
import type { Model } from "@lopper/model-io";
import { activationBytes, weightMemory } from "@lopper/runtime";
import { formatBytes } from "./format.ts";
import { engineCopies, PROCESS_BYTES } from "./memory.ts";

/**
 * Bytes that weights may take which are half precision in the checkpoint and float32 in memory, with a budget for all.
 * @throws {InsufficientMemoryError} with the figures, when the least does not fit.
 */
export function expandedWithin(
  model: Model,
  backend: BackendDescription,
  run: { readonly tokens: number; readonly length: number },
  budget: number,
): number {
  const weights = weightMemory(model);
  const parts: readonly [string, number][] = [
    ["the process and its engine", PROCESS_BYTES],
    ["the weights as they are in the checkpoint", weights.held],
    ["one block or the head in float32", Math.max(weights.largestBlock, weights.head)],
    [
      `activations of ${run.tokens} tokens`,
      engineCopies(backend) * activationBytes(model.spec, backend, run),
    ],
  ];
  const least = parts.reduce((sum, [, bytes]) => sum + bytes, 0);
  if (least > budget) {
    const list = parts.map(([what, bytes]) => `${what} ${formatBytes(bytes)}`).join(", ");
    throw new InsufficientMemoryError(
      `this evaluation needs ${formatBytes(least)} of memory at least (${list}) and may take ${
        formatBytes(budget)
      }; give it more with --memory, or shorter windows with --seq-len`,
      least,
      budget,
    );
  }
  // Weights in float32 take the place of their halves.
  return Math.min(weights.expanded, 2 * (budget - least));
}
