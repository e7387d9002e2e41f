import { plural } from "@lopper/core";
import type { CardFacts, CardMethod } from "../facts.ts";
import { mlpHeading } from "../layers.ts";
import { codeBlock, plainText } from "../markdown.ts";

const CITATION = [
  "@article{munoz2025multipruner,",
  "  title = {MultiPruner: Balanced Structure Removal in Foundation Models},",
  "  author = {Mu{\\~n}oz, J. Pablo and Yuan, Jinjie and Jain, Nilesh},",
  "  journal = {arXiv preprint arXiv:2501.09949},",
  "  year = {2025}",
  "}",
];

/** How it was made, and after whom. */
export function methodSection({ method, layers, texts: { calibration } }: CardFacts): string {
  const { samples, tokens, seed, name } = calibration;
  return `## How it was made

${found(method, mlpHeading(layers.dense))} ${refitted(method)}

Calibration: ${plural(samples, "sample")} of ${
    plural(tokens, "token")
  }, drawn with seed ${seed} from ${plainText(name)}.

The search follows MultiPruner ([arXiv:2501.09949](https://arxiv.org/abs/2501.09949)):

${codeBlock("bibtex", CITATION)}`;
}

/** @param units what MLPs lose, in words. */
function found({ steps, criterion, uniform }: CardMethod, units: string): string {
  if (steps === null) return "A plan that was made before says what stays.";
  return `In ${
    plural(steps, "step")
  }, the search took what costs the model least: attention and MLP blocks, ${units}, ` +
    `and attention heads with the keys and values that they share. On the calibration text, candidates were judged by ${
      plainText(criterion)
    }.${uniform ? " All layers were kept alike." : ""}`;
}

function refitted({ refitted, dequantised }: CardMethod): string {
  const source = dequantised !== null
    ? `Weights of the source were quantised, and are ${dequantised} here.`
    : "All other weights are those of the source, bit for bit.";
  if (refitted === null || refitted.kept === 0) {
    return dequantised !== null
      ? source
      : "All weights that stay are those of the source, bit for bit.";
  }
  const { kept, tried } = refitted;
  return `Then the outputs of blocks that stay were fitted to the hidden states of the dense model, in closed form: ` +
    `${kept} of ${tried}, which helped on calibration text kept aside. ${source}`;
}
