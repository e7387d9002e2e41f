export { ATTENTION_OPS } from "./attention_ops.ts";
export {
  type Backend,
  type BackendDescription,
  type BackendOptions,
  bool,
  type Executable,
  type Feeds,
  float32,
  float32Data,
  type HostTensor,
  int32,
  int64,
  int64Data,
  type Weights,
} from "./backend.ts";
export { type NativePlace, placeNativeEngine } from "./native_place.ts";
export {
  type BackendName,
  openBackend,
  type OpenedBackend,
  type OpenOptions,
} from "./open_backend.ts";
export { ENGINE_OPTIONS, MAX_THREADS } from "./options.ts";
