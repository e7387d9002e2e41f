import type { Block, BlockSize, Shape } from "./block.ts";
import { blocksOf } from "./blocks_of.ts";
import type { BlockKind, BlockRef, LayerSpec, ModelSpec } from "./model_spec.ts";

/** The sizes of a model's blocks where its layers are as these say: the same list gives the same shape, itself. */
export function shapeOfLayers(spec: ModelSpec, layers: readonly LayerSpec[]): Shape {
  const known = SHAPES.get(layers);
  if (known?.spec === spec) return known.shape;
  const shape = blocksOf(spec).map(({ layer, kind }): BlockSize | null => {
    const { attention, mlp } = layers[layer];
    return kind === "mlp"
      ? mlp && { channels: mlp.intermediateSize }
      : attention && { kvGroups: attention.kvHeads };
  });
  SHAPES.set(layers, { spec, shape });
  return shape;
}

const SHAPES = new WeakMap<readonly LayerSpec[], { spec: ModelSpec; shape: Shape }>();

/** The layers of a model whose blocks have these sizes. */
export function layersOfShape(spec: ModelSpec, shape: Shape): readonly LayerSpec[] {
  const layers: LayerSpec[] = spec.layers.map(() => ({ attention: null, mlp: null }));
  blocksOf(spec).forEach(({ layer, kind }, i) => {
    const size = shape[i];
    if (!size) return;
    const { attention } = spec.layers[layer];
    const { kvGroups: kvHeads, channels } = size;
    layers[layer] = kind === "mlp" ? { ...layers[layer], mlp: { intermediateSize: channels } } : {
      ...layers[layer],
      attention: { queryHeads: kvHeads * attention!.queryHeads / attention!.kvHeads, kvHeads },
    };
  });
  return layers;
}

/** A block by its layer. */
export function refOf({ layer, kind }: Block): BlockRef {
  return { layer, kind: kind as BlockKind };
}

/** The number of a block among those of its model; of one that the model lacks, that of the next. */
export function blockNumber(spec: ModelSpec, { layer, kind }: BlockRef): number {
  const blocks = blocksOf(spec);
  const found = blocks.findIndex((block) =>
    block.layer > layer || (block.layer === layer && (kind === "attention" || block.kind === kind))
  );
  return found < 0 ? blocks.length : found;
}
