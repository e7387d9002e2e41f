export { type Entry, type FileTensor, ggufFile } from "./gguf_file.ts";
export { assertGrownWithin, type Measured, measuredProcess } from "./measured_process.ts";
export { measurePeak } from "./measure_peak.ts";
export { bytesChanged, HeldMemory, type Mutation, spliced } from "./mutations.ts";
export { entry, safetensorsFile } from "./safetensors_file.ts";
