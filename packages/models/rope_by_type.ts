import { shown, UnsupportedModelError } from "@lopper/core";
import type { Family } from "./families/family.ts";
import { type RopeDefaults, type RopeKeys, type Ropes, ropesFromConfig } from "./rope_config.ts";
import { FULL, SLIDING } from "./window_config.ts";

/** A config of a family whose layers with a window have a rotary embedding of their own. */
type Json = RopeKeys & Readonly<Record<string, unknown>>;

/**
 * The rotary embeddings of layers with a window and of those without: what stands in
 * `rope_parameters` for each of them, where keys of earlier versions of transformers do not say it.
 * @param file where the config came from, for messages.
 * @throws {UnsupportedModelError} as `ropesFromConfig`, and where `rope_parameters` does not say of
 *   which layers it speaks: transformers takes nothing of it then.
 */
export function ropesByType(
  config: Json,
  { windowRope, ...defaults }: RopeDefaults & Pick<Required<Family>, "windowRope">,
  file: string,
): Ropes {
  const { key, theta } = windowRope;
  const given = config.rope_parameters ?? {};
  const strange = Object.keys(given).find((key) => key !== FULL && key !== SLIDING);
  if (strange !== undefined) {
    throw new UnsupportedModelError(
      `${file}: rope_parameters has ${shown(strange)}; Lopper needs it for ${FULL} or ${SLIDING}`,
    );
  }
  const own = key === undefined ? undefined : config[key];
  return ropesFromConfig(
    {
      rope_parameters: {
        [FULL]: {
          rope_theta: config.rope_theta ?? defaults.ropeTheta,
          ...asObject(given[FULL]),
          ...config.rope_scaling,
        },
        [SLIDING]: { rope_theta: own ?? theta, ...asObject(given[SLIDING]) },
      },
    },
    defaults,
    file,
  );
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}
