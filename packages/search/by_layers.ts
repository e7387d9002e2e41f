import {
  type BlockSize,
  blocksOf,
  layersOfShape,
  type ModelSpec,
  type Resource,
  type Shape,
} from "@lopper/core";
import { quickResource, type ShapeResource } from "./resource.ts";

/** The same resource, asked by shapes. */
export function shapeResource(spec: ModelSpec, resource: Resource): ShapeResource {
  const blocks = blocksOf(spec);
  const amount = (shape: Shape) => resource.amount(layersOfShape(spec, shape));
  const block = (index: number, size: BlockSize) => {
    const { layer, kind } = blocks[index];
    const { attention } = spec.layers[layer];
    const { channels: intermediateSize, kvGroups: kvHeads } = size;
    return kind === "mlp"
      ? resource.block({ attention: null, mlp: { intermediateSize } }, kind)
      : resource.block({
        attention: { queryHeads: kvHeads * attention!.queryHeads / attention!.kvHeads, kvHeads },
        mlp: null,
      }, "attention");
  };
  return quickResource({ name: resource.name, amount, block }, blocks);
}
