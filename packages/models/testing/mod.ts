export { float32Tensor, tinyGguf } from "./tiny_gguf.ts";
export {
  type ArchitectureChange,
  architectureOfLayers,
  layersOfShape,
  shapeOfLayers,
  withAttention,
} from "./architecture_of_layers.ts";
