import {
  type Architecture,
  type Block,
  countParameters,
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

export function searchModelOf(architecture: Architecture): SearchModel {
  return {
    blocks: architecture.blocks,
    layers: architecture.layerCount,
    parameters: quickResource(parametersOf(architecture), architecture.blocks),
    stored: (shape) => countParameters(architecture, shape).total,
  };
}
