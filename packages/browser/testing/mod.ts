export { MemoryDirectory } from "./memory_directory.ts";
