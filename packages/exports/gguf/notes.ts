import { type Architecture, firstRope, fullyAttended } from "@lopper/core";
import { type GgufArchitecture, ropeFrequencies } from "@lopper/models";
import { longestText } from "./rope.ts";

/** Frequencies that differ by less are the same. */
const TOLERANCE = 1e-5;

/** What llama.cpp makes of a file otherwise than the model says, a sentence each. */
export function readerNotes(
  arch: GgufArchitecture,
  architecture: Architecture,
): readonly string[] {
  const { name, windows } = arch;
  const window = fullyAttended(architecture);
  const rope = firstRope(architecture);
  const notes: string[] = [];
  const longest = longestText(arch, architecture);
  if (longest < architecture.maxPositions) {
    notes.push(
      `llama.cpp has no queries in ${name} that grow with their positions: texts are no longer than ${longest} tokens`,
    );
  }
  if (window !== null && windows?.period === "all") {
    notes.push(
      `llama.cpp has no windows in ${name}: of texts longer than ${window} tokens it computes something else`,
    );
  }
  if (rope?.scaling?.type === "longrope") {
    notes.push(
      `llama.cpp goes by the length of its context: where that is above ${rope.scaling.originalMaxPositions} tokens, ` +
        "it takes the long factors of LongRoPE for short texts, too",
    );
  }
  if (rope?.scaling?.type === "yarn" && !rope.scaling.truncate) {
    const { headDim } = architecture;
    const own = ropeFrequencies(rope, headDim);
    const theirs = ropeFrequencies(
      { ...rope, scaling: { ...rope.scaling, truncate: true } },
      headDim,
    );
    const most = own.reduce((sofar, f, i) => Math.max(sofar, Math.abs(theirs[i] / f - 1)), 0);
    if (most > TOLERANCE) {
      notes.push(
        `llama.cpp lets YaRN's band end at whole pairs of channels in every ${name}, and the model does not: ` +
          `its rotary frequencies are up to ${(100 * most).toFixed(1)} % off`,
      );
    }
  }
  return notes;
}
