export { MEMORY_QUOTA, MemoryDirectory } from "./memory_directory.ts";
