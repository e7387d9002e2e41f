import type { Rope } from "@lopper/core";
import type { RotaryAngles } from "@lopper/graphs";
import { ropeFactor, ropeFrequencies } from "../rope_frequencies.ts";

/** How a rotary embedding turns in the graphs that Lopper writes. */
export function rotaryAngles(rope: Rope, headDim: number): RotaryAngles {
  const { scaling } = rope;
  const frequencies = ropeFrequencies(rope, headDim);
  const factor = ropeFactor(rope);
  if (scaling?.type !== "longrope") return { frequencies, factor };
  const after = scaling.originalMaxPositions;
  return {
    ...{ frequencies, factor },
    long: { after, frequencies: ropeFrequencies(rope, headDim, after + 1) },
  };
}
