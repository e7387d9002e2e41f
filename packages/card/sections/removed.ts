import type { CardFacts } from "../facts.ts";
import { describeRemoved, drawnLayers, removedOf } from "../layers.ts";
import { codeBlock } from "../markdown.ts";

/** What is left of each layer, in words and as a drawing. */
export function removedSection({ layers }: CardFacts): string {
  const none = { attention: null, mlp: null };
  const changes = layers.dense.map((dense, i) => ({ dense, pruned: layers.pruned[i] ?? none }));
  return `## What was removed

${
    sentence(describeRemoved(removedOf(changes)))
  } A row is a layer, from the input to the output; a filled part stays.

${codeBlock("text", drawnLayers(layers).split("\n"))}`;
}

function sentence(words: string): string {
  return `${words.slice(0, 1).toUpperCase()}${words.slice(1)}.`;
}
