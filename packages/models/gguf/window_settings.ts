import type { GgufMetadata } from "@lopper/formats";
import type { GgufArchitecture, GgufWindows } from "./architecture.ts";

/** What a file says of windows. */
export interface FoundWindows {
  /** Tokens that attention reaches back where it has a window; 0 where no layer has one. */
  readonly tokens: number;
  /** Which layers have it. */
  readonly slides: readonly boolean[];
}

export const WINDOW_KEY = "attention.sliding_window";
export const PATTERN_KEY = "attention.sliding_window_pattern";

/**
 * Which layers have a window, and how long it is.
 * @throws {CheckpointFormatError} for a pattern that is neither a number nor a flag for each layer.
 */
export async function windowSettings(
  metadata: GgufMetadata,
  { name, windows }: GgufArchitecture,
  layers: number,
): Promise<FoundWindows> {
  const none = Array.from({ length: layers }, () => false);
  if (!windows || !mayHaveWindows(windows, layers)) return { tokens: 0, slides: none };
  const tokens = metadata.count(`${name}.${WINDOW_KEY}`) ?? windows.absent ?? 0;
  if (tokens === 0) return { tokens, slides: none };
  const slides = await flagsOf(metadata, `${name}.${PATTERN_KEY}`, windows.period, layers);
  return { tokens: slides.includes(true) ? tokens : 0, slides };
}

/** Whether models of so many layers have windows in an architecture. */
export function mayHaveWindows({ layers: only }: GgufWindows, layers: number): boolean {
  return only === undefined || only === layers;
}

async function flagsOf(
  metadata: GgufMetadata,
  key: string,
  usual: number | "all",
  layers: number,
): Promise<readonly boolean[]> {
  const value = metadata.get(key);
  if (value?.type === "array") {
    const flags = await metadata.flags(key);
    if (flags?.length === layers) return flags;
    throw metadata.refuse(key, `it has ${flags?.length} flags for ${layers} layers`);
  }
  return slidesBy(metadata.count(key) ?? usual, layers);
}

/**
 * Every layer but for the last of so many; "all" and 0 stand for every layer (llama.cpp,
 * `set_swa_pattern`).
 */
export function slidesBy(period: number | "all", layers: number): readonly boolean[] {
  return Array.from(
    { length: layers },
    (_, layer) => period === "all" || period === 0 || layer % period < period - 1,
  );
}
