import { CheckpointFormatError, shown, UnsupportedModelError } from "@lopper/core";
import type { LayerOverrides, ModelConfig } from "./config_schema.ts";
import type { Family } from "./families/family.ts";
import type { LayerSizes } from "./families/layer_blocks.ts";

/** What layers have by the keys of a config that hold for all of them. */
export interface UsualLayer {
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly intermediate_size: number;
  /** Of layers with mixtures. */
  readonly num_experts?: number | null;
  readonly moe_intermediate_size?: number | null;
}

/** The widths of the blocks that a layer of a family has, by their keys. */
export function widthsOf(
  { attention, mlp }: LayerSizes,
  { expertWidth }: Pick<Family, "expertWidth">,
): Partial<UsualLayer> {
  return {
    ...(attention && {
      num_attention_heads: attention.queryHeads,
      num_key_value_heads: attention.kvHeads,
    }),
    ...(mlp &&
      (mlp.experts === undefined ? { intermediate_size: mlp.intermediateSize } : {
        num_experts: mlp.experts,
        [expertWidth ?? "intermediate_size"]: mlp.intermediateSize,
      })),
  };
}

/** What a layer says of itself alone, as transformers names it from 5.14 on. */
type OwnKeys = Readonly<Partial<UsualLayer> & { skip?: readonly string[] }>;

/** Blocks that a layer may do without, by their names under `skip`. */
const SKIPPED = ["attention", "mlp"] as const;
const READ: readonly string[] = [
  "num_attention_heads",
  "num_key_value_heads",
  "intermediate_size",
  "num_experts",
  "skip",
];

/** Of families whose experts have a key of their own for that. */
const EXPERT_WIDTH = "moe_intermediate_size";

/**
 * `per_layer_config` of a config.json: in what each layer differs from the usual one. Layers that
 * are like it are left out.
 */
export function perLayerConfig(
  layers: readonly LayerSizes[],
  family: Pick<Family, "expertWidth">,
  usual: Readonly<Record<string, unknown>>,
): Readonly<Record<string, OwnKeys>> {
  const entries = layers.flatMap((sizes, layer) => {
    const skip = SKIPPED.filter((kind) => sizes[kind] === null);
    const own = Object.entries(widthsOf(sizes, family)).filter(([key, width]) =>
      width !== usual[key]
    );
    const entry: OwnKeys = { ...Object.fromEntries(own), ...(skip.length > 0 && { skip }) };
    return Object.keys(entry).length > 0 ? [[String(layer), entry]] : [];
  });
  return Object.fromEntries(entries);
}

/**
 * The layers of a config.json: all as usual, but for those that say otherwise.
 * @param isMixture whether a layer has a mixture of experts where the model has some.
 * @throws {UnsupportedModelError} for a setting that Lopper does not compute layer by layer.
 * @throws {CheckpointFormatError} when the config contradicts itself.
 */
export function layersOfConfig(
  config: ModelConfig & UsualLayer,
  isMixture: (layer: number) => boolean,
  file: string,
): readonly LayerSizes[] {
  const { lopper: listed, per_layer_config: own, num_hidden_layers: count } = config;
  if (listed && own) {
    throw new CheckpointFormatError(
      "it says twice what layers have, under lopper and under per_layer_config; one of them has to go",
      { file },
    );
  }
  if (listed) return layersListed(listed, config, isMixture, file);
  const read = config.moe_intermediate_size ? [...READ, EXPERT_WIDTH] : READ;
  const overrides = overridesByLayer(own ?? {}, { count, read }, file);
  return Array.from({ length: count }, (_, layer): LayerSizes => {
    const { skip = [], ...widths } = overrides.get(layer) ?? {};
    const has = { ...config, ...widths };
    checkOwnExperts(widths, config, isMixture(layer), `${file}: per_layer_config.${layer}`);
    return {
      attention: skip.includes("attention")
        ? null
        : { queryHeads: has.num_attention_heads, kvHeads: has.num_key_value_heads },
      mlp: skip.includes("mlp") ? null : has.num_experts && isMixture(layer)
        ? {
          intermediateSize: has.moe_intermediate_size ?? has.intermediate_size,
          experts: has.num_experts,
        }
        : { intermediateSize: has.intermediate_size },
    };
  });
}

/**
 * @throws {UnsupportedModelError} for what is of experts in a layer that has an MLP.
 */
function checkOwnExperts(
  own: OwnKeys,
  usual: UsualLayer,
  isMixture: boolean,
  place: string,
) {
  const key = OF_EXPERTS.find((key) => own[key] !== undefined);
  if (key === undefined || isMixture || !usual.num_experts) return;
  throw new UnsupportedModelError(
    `${place}.${key} is ${
      shown(own[key])
    }, and the layer has an MLP; Lopper needs it to be absent there`,
  );
}

const OF_EXPERTS = ["num_experts", EXPERT_WIDTH] as const;

function overridesByLayer(
  own: NonNullable<ModelConfig["per_layer_config"]>,
  { count, read }: { readonly count: number; readonly read: readonly string[] },
  file: string,
): ReadonlyMap<number, OwnKeys> {
  const found = new Map<number, OwnKeys>();
  for (const [name, entry] of Object.entries(own)) {
    const layer = Number(name);
    const at = `per_layer_config.${name}`;
    if (found.has(layer)) {
      throw new CheckpointFormatError(`at ${at}: layer ${layer} is described twice`, { file });
    }
    if (layer >= count) {
      throw new CheckpointFormatError(`at ${at}: num_hidden_layers is ${count}`, { file });
    }
    const unread = Object.keys(entry).find((key) => !read.includes(key));
    if (unread !== undefined) {
      throw new UnsupportedModelError(
        `${file}: ${at}.${unread} is ${
          shown(entry[unread])
        }; of what layers have for themselves, ` +
          `Lopper reads ${read.join(", ")}`,
      );
    }
    const strange = entry.skip?.find((kind) => !(SKIPPED as readonly string[]).includes(kind));
    if (strange !== undefined) {
      throw new UnsupportedModelError(
        `${file}: ${at}.skip names ${shown(strange)}; Lopper knows ${SKIPPED.join(" and ")}`,
      );
    }
    found.set(layer, entry);
  }
  return found;
}

/** The layers under the key `lopper`, as versions up to 0.3.0 wrote them. */
function layersListed(
  { layers }: LayerOverrides,
  { num_hidden_layers: count, num_experts: experts, ...usual }: ModelConfig & UsualLayer,
  isMixture: (layer: number) => boolean,
  file: string,
): readonly LayerSizes[] {
  if (layers.length !== count) {
    throw new UnsupportedModelError(
      `${file}: lopper.layers is ${layers.length}; Lopper needs ${count} entries, one a layer`,
    );
  }
  return layers.map(({ attention, mlp }, layer): LayerSizes => ({
    attention: attention && { queryHeads: attention.query_heads, kvHeads: attention.kv_heads },
    mlp: mlp &&
      (experts && isMixture(layer)
        ? { intermediateSize: usual.moe_intermediate_size ?? mlp.intermediate_size, experts }
        : { intermediateSize: mlp.intermediate_size }),
  }));
}
