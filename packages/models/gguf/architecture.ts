import { shown, UnsupportedModelError } from "@lopper/core";
import type { GgufMetadata } from "@lopper/formats";
import { missingKey } from "./missing_key.ts";

/** What Lopper knows of an architecture of llama.cpp. */
export interface GgufArchitecture {
  /** Its name in GGUF, with which its settings' keys begin. */
  readonly name: string;
  readonly modelType: string;
  /**
   * Neighbouring channels of a head are rotated together, so that rows of q and k are interleaved
   * in the file.
   */
  readonly interleaved: boolean;
  /** Layers may lack attention, or both of their blocks: their numbers are 0. */
  readonly sparse?: boolean;
}

/**
 * Mistral's files say "llama" and are told apart by their sliding window; without one the two are
 * the same.
 */
const ARCHITECTURES: readonly GgufArchitecture[] = [
  { name: "llama", modelType: "llama", interleaved: true },
  { name: "qwen2", modelType: "qwen2", interleaved: false },
  { name: "qwen3", modelType: "qwen3", interleaved: false },
  // Llama whose layers differ: what NVIDIA pruned (DeciLM, Nemotron), and what Lopper writes.
  { name: "deci", modelType: "llama", interleaved: true, sparse: true },
];

/** @throws {UnsupportedModelError} for an architecture that Lopper does not compute. */
export async function architectureOf(metadata: GgufMetadata): Promise<GgufArchitecture> {
  const { file } = metadata;
  const key = "general.architecture";
  const name = await metadata.text(key) ?? missingKey(metadata, key);
  const known = ARCHITECTURES.find((arch) => arch.name === name);
  if (known) return known;
  throw new UnsupportedModelError(
    `${file}: ${key} is ${shown(name)}; Lopper reads ${
      ARCHITECTURES.map((arch) => arch.name).join(", ")
    }`,
  );
}
