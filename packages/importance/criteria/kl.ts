import type { PredictionCriterion } from "./criterion.ts";

/**
 * The NLL of each token if it had risen by the KL divergence of the predictions from the dense
 * model's: the dense model's NLL and the Kullback-Leibler divergence KL(dense ‖ model). The
 * divergence is what a loss rises by on text that the dense model writes itself, without the chance
 * of which token it wrote.
 */
export const kl = {
  name: "kl",
  is:
    "the KL divergence of their predictions from the dense model's, which tells them apart on less text",
  note:
    "steps are judged by how far their predictions are from the dense model's (KL); on the calibration text, what stands for " +
    "the perplexity of a step is the dense model's, raised by that KL divergence",
  needs: "predictions",
  async loss(read, { base, predictions }) {
    const crossEntropy = await read.crossEntropy(predictions);
    return crossEntropy.map((value, i) => base[i] + value);
  },
} as const satisfies PredictionCriterion;
