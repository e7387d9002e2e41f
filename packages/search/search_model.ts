import {
  type Block,
  blocksOf,
  countParameters,
  layersOfShape,
  type ModelSpec,
  parametersOf,
  type Shape,
} from "@lopper/core";
import { shapeResource } from "./by_layers.ts";
import type { ShapeResource } from "./resource.ts";

/** What a search knows of a model. */
export interface SearchModel {
  readonly blocks: readonly Block[];
  /** Layers, those included that have no block. */
  readonly layers: number;
  /** Parameters as the published pruning ratio counts them. */
  readonly parameters: ShapeResource;
  /** Parameters that are stored of a model of this shape. */
  stored(shape: Shape): number;
}

export function searchModelOf(spec: ModelSpec): SearchModel {
  return {
    blocks: blocksOf(spec),
    layers: spec.layers.length,
    parameters: shapeResource(spec, parametersOf(spec)),
    stored: (shape) => countParameters(spec, layersOfShape(spec, shape)).total,
  };
}
