import { shown, UnsupportedModelError } from "@lopper/core";
import type { GgufMetadata } from "@lopper/formats";
import type { GgufArchitecture } from "./architecture.ts";
import { ARCHITECTURES } from "./architectures/mod.ts";
import { missingKey } from "./missing_key.ts";

/** @throws {UnsupportedModelError} for an architecture that Lopper does not compute. */
export async function architectureOf(metadata: GgufMetadata): Promise<GgufArchitecture> {
  const { file } = metadata;
  const key = "general.architecture";
  const name = await metadata.text(key) ?? missingKey(metadata, key);
  const named = ARCHITECTURES.filter((arch) => arch.name === name);
  const mixed = (metadata.count(`${name}.expert_count`) ?? 0) > 0;
  const known = named.find(({ routing }) => mixed === (routing !== undefined)) ?? named[0];
  if (known) return known;
  throw new UnsupportedModelError(
    `${file}: ${key} is ${shown(name)}; Lopper reads ${
      [...new Set(ARCHITECTURES.map((arch) => arch.name))].join(", ")
    }`,
  );
}

/** Families that are written as GGUF. */
export const GGUF_MODEL_TYPES: readonly string[] = [
  ...new Set(
    ARCHITECTURES.flatMap(modelTypesOf),
  ),
];

/** The architecture as which models of a family are written where their layers are alike. */
export function architectureFor(modelType: string): GgufArchitecture | undefined {
  return ARCHITECTURES.find((arch) => modelTypesOf(arch).includes(modelType));
}

function modelTypesOf(
  { modelType, windowed, shared, also = [] }: GgufArchitecture,
): readonly string[] {
  return [modelType, windowed, shared, ...also].filter((type) => type !== undefined);
}

/** The architecture of this name. @throws {TypeError} when there is none. */
export function architectureNamed(name: string): GgufArchitecture {
  const found = ARCHITECTURES.find((arch) => arch.name === name);
  if (!found) throw new TypeError(`no architecture is called ${name}`);
  return found;
}
