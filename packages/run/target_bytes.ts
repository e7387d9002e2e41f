import { countParameters, DTYPE_BYTES, formatBytes, UsageError } from "@lopper/core";
import type { Model } from "@lopper/models";

/**
 * The smallest pruning ratio, in per cent, at which the weights of the result are sure to have at
 * most so many bytes, in the dtypes of the checkpoint. Norms of removed blocks, which the ratio
 * does not count, make them fewer still.
 * @param title what the model is called in a message.
 * @throws {UsageError} when the model is that small already, or when nothing would be left.
 */
export function ratioForBytes(model: Model, title: string, bytes: number): number {
  const { architecture, weightBytes } = model;
  if (bytes >= weightBytes) {
    throw new UsageError(
      `--target-bytes is ${formatBytes(bytes)}, and the weights of ${title} have ${
        formatBytes(weightBytes)
      } already; it needs fewer`,
    );
  }
  const { total } = countParameters(architecture);
  const removed = Math.ceil((weightBytes - bytes) / smallestParameter(model));
  if (removed >= total) {
    throw new UsageError(
      `--target-bytes is ${formatBytes(bytes)}; ${title} has ${
        formatBytes(weightBytes)
      }, and nothing would be left`,
    );
  }
  // As `pruningRatio` computes it, so that a search ends at this very number of parameters.
  return (1 - (total - removed) / total) * 100;
}

/** Bytes of a parameter in that matrix of the blocks whose dtype is the smallest. */
function smallestParameter({ weights }: Model): number {
  const bytes = weights.flatMap(({ role, tensor }) =>
    "layer" in role && tensor.shape.length === 2 ? [DTYPE_BYTES[tensor.dtype]] : []
  );
  return Math.min(...bytes);
}
