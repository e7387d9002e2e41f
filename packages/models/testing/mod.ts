export { float32Tensor, tinyGguf } from "./tiny_gguf.ts";
