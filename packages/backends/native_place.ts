/**
 * Where onnxruntime-node is, or a part of it, for a program in which importing it is not enough.
 */
export type NativePlace =
  /** The program has its JavaScript in itself, and its native files in this folder of the disk. */
  | { readonly bindingFolder: string }
  /** Another project has it: the file that stands for the package. */
  | { readonly main: string };

let place: NativePlace | null = null;

/** To be said before a backend is opened, since an engine is loaded once. */
export function placeNativeEngine(where: NativePlace) {
  place = where;
}

export function nativePlace(): NativePlace | null {
  return place;
}
