import type { FrontierStep } from "@lopper/core";
import { plural } from "./removed.ts";

/** What a step took, in words. */
export function describeStep({ kind, layer, removed }: FrontierStep): string {
  switch (kind) {
    case "attention":
      return `attention of layer ${layer}`;
    case "mlp":
      return `MLP of layer ${layer}`;
    case "mlp_channels":
      return `${plural(removed.length, "channel")} of the MLP of layer ${layer}`;
    case "attention_heads":
      return `${plural(removed.length, "KV group")} of layer ${layer}`;
  }
}
