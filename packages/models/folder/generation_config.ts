import type { Architecture } from "@lopper/core";
import { type ModelFolder, readJson } from "@lopper/formats";
import { z } from "zod";

export const GENERATION_CONFIG = "generation_config.json";

const idsSchema = z.union([z.int(), z.array(z.int())]).nullish();
const schema = z.looseObject({
  eos_token_id: idsSchema,
  stop_strings: z.union([z.string(), z.array(z.string())]).nullish(),
});

/**
 * The end tokens that a config.json or a generation_config.json names; its key was checked before.
 */
export function endTokensOf({ eos_token_id }: Readonly<Record<string, unknown>>) {
  const ids = idsSchema.parse(eos_token_id);
  return typeof ids === "number" ? [ids] : ids ?? [];
}

/** What generation_config.json says of where texts end. */
export interface GenerationEnds {
  readonly eosTokenIds: readonly number[];
  readonly notes: readonly string[];
}

/**
 * Reads how texts of a model end, none where the folder does not say.
 * @throws {CheckpointFormatError} when generation_config.json is malformed.
 */
export async function readGenerationEnds(folder: ModelFolder): Promise<GenerationEnds> {
  if (!await folder.has(GENERATION_CONFIG)) return { eosTokenIds: [], notes: [] };
  const config = await readJson(folder, GENERATION_CONFIG, schema);
  const { stop_strings } = config;
  const stops = typeof stop_strings === "string" ? [stop_strings] : stop_strings ?? [];
  return {
    eosTokenIds: endTokensOf(config),
    notes: stops.length === 0
      ? []
      : [`stop_strings of ${GENERATION_CONFIG} are passed over: texts end at tokens only`],
  };
}

/**
 * A model whose texts end at further tokens, too. transformers generates by generation_config.json
 * alone where there is one, other programs (llama.cpp, vLLM) by config.json besides. A text that
 * goes on behind its end is the worse mistake, so that both count; config.json's come first.
 */
export function withEndTokens(architecture: Architecture, more: readonly number[]): Architecture {
  return { ...architecture, eosTokenIds: [...new Set([...architecture.eosTokenIds, ...more])] };
}
