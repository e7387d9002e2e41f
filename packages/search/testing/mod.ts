export { tinySpec } from "./tiny_spec.ts";
