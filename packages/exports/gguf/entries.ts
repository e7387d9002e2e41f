import type { MetadataEntry } from "@lopper/formats";

/** A whole number of metadata. */
export const count = (key: string, value: number): MetadataEntry => ({
  ...{ key, value },
  type: "uint32",
});
/** A number that need not be whole. */
export const real = (key: string, value: number): MetadataEntry => ({
  ...{ key, value },
  type: "float32",
});
export const text = (key: string, value: string): MetadataEntry => ({
  ...{ key, value },
  type: "string",
});
