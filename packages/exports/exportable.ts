import { LopperError } from "@lopper/core";
import type { Model } from "@lopper/models";
import { checkDeci } from "./deci/export.ts";
import { architectureOf } from "./gguf/architecture.ts";
import { checkGgufTokenizer } from "./gguf/export.ts";
import { ggufLayers } from "./gguf/layers.ts";

/** Which of the formats that cannot hold every model hold this one. */
export interface Exportable {
  readonly gguf: boolean;
  /** safetensors in DeciLM's layout. */
  readonly deci: boolean;
}

/** Asks the formats themselves, which write nothing. */
export async function exportable(model: Model): Promise<Exportable> {
  return {
    gguf: await isAccepted(async () => {
      architectureOf(model, ggufLayers(model.architecture.blocks));
      await checkGgufTokenizer(model);
    }),
    deci: await isAccepted(() => checkDeci(model)),
  };
}

async function isAccepted(check: () => void | Promise<void>): Promise<boolean> {
  try {
    await check();
    return true;
  } catch (error) {
    if (error instanceof LopperError) return false;
    throw error;
  }
}
