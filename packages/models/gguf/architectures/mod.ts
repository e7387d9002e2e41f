import type { GgufArchitecture } from "../architecture.ts";
import { GEMMA } from "./gemma.ts";
import { LLAMA } from "./llama.ts";
import { MIXTURES } from "./mixtures.ts";
import { OTHERS } from "./others.ts";

/**
 * All that Lopper reads and writes (llama.cpp, src/models and conversion). Of two for one family
 * the first one is written where layers are alike.
 */
export const ARCHITECTURES: readonly GgufArchitecture[] = [
  ...LLAMA,
  ...GEMMA,
  ...OTHERS,
  ...MIXTURES,
];
