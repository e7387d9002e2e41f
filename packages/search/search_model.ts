import {
  type Block,
  countParameters,
  type ModelSpec,
  parametersOf,
  type Resource,
  type Shape,
} from "@lopper/core";
import { quickResource } from "./resource.ts";

/** What a search knows of a model. */
export interface SearchModel {
  readonly blocks: readonly Block[];
  /** Layers, those included that have no block. */
  readonly layers: number;
  /** Parameters as the published pruning ratio counts them. */
  readonly parameters: Resource;
  /** Parameters that are stored of a model of this shape. */
  stored(shape: Shape): number;
}

export function searchModelOf(spec: ModelSpec): SearchModel {
  return {
    blocks: spec.blocks,
    layers: spec.layerCount,
    parameters: quickResource(parametersOf(spec), spec.blocks),
    stored: (shape) => countParameters(spec, shape).total,
  };
}
