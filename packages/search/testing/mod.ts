export { tinyArchitecture } from "./tiny_architecture.ts";
