export { float32Tensor, tinyGguf } from "./tiny_gguf.ts";
export { layersOfShape, shapeOfLayers, type SpecChange, specOfLayers } from "./spec_of_layers.ts";
