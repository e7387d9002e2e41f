import type { FrontierStep } from "@lopper/search";
import { plural } from "./removed.ts";

/** What a step took, in words. */
export function describeStep({ kind, layer, removed, removedByLayer = [] }: FrontierStep): string {
  const everywhere = removedByLayer.reduce((sum, units) => sum + units.length, 0);
  switch (kind) {
    case "attention":
      return `attention of layer ${layer}`;
    case "mlp":
      return `MLP of layer ${layer}`;
    case "mlp_channels":
      return `${plural(removed.length, "channel")} of the MLP of layer ${layer}`;
    case "attention_heads":
      return `${plural(removed.length, "KV group")} of layer ${layer}`;
    case "layer":
      return `layer ${layer}`;
    case "all_mlp_channels":
      return `${plural(everywhere, "channel")} of all MLPs`;
    case "all_attention_heads":
      return `${plural(everywhere, "KV group")} of all layers`;
  }
}
