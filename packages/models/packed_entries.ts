import { type Architecture, type DType, DTYPE_BYTES, isFloatDType } from "@lopper/core";
import {
  fromFloat32,
  isContiguous,
  placeValues,
  type TensorEntry,
  toFloat32,
  valuesOf,
} from "@lopper/formats";
import type { Family } from "./families/family.ts";
import { type PackedWeight, packsOf, type StoredPack } from "./packing.ts";

/**
 * The tensors of a model as checkpoints of its family have them, of those that it has as weights.
 * Rows of one weight behind those of another are written one weight after the other. Any other
 * packed tensor is in memory as a whole, and one weight at a time with it.
 */
export function packedEntries(
  architecture: Pick<Architecture, "blocks">,
  family: Family,
  entries: readonly TensorEntry[],
): readonly TensorEntry[] {
  const packs = packsOf(architecture, family);
  if (packs.length === 0) return entries;
  const byName = new Map(entries.map((entry) => [entry.name, new Shared(entry)]));
  const packed = new Map<string, TensorEntry[]>();
  for (const pack of packs) {
    const parts = pack.weights.map((weight) => ({ weight, entry: byName.get(weight.name)! }));
    const entry = packedEntry(pack, parts);
    for (const [i, { name }] of pack.weights.entries()) {
      packed.set(name, [...packed.get(name) ?? [], ...(i === 0 ? [entry] : [])]);
    }
  }
  return entries.flatMap((entry) => packed.get(entry.name) ?? [entry]);
}

interface Part {
  readonly weight: PackedWeight;
  readonly entry: Shared;
}

function packedEntry({ name, shape }: StoredPack, parts: readonly Part[]): TensorEntry {
  const dtype = commonDType(parts.map(({ entry }) => entry.dtype));
  const bytesOf = async ({ weight, entry }: Part) =>
    converted(await entry.part(weight.part, weight.parts), entry.dtype, dtype);
  const whole = { name, dtype, shape };
  if (parts.length === 1 && isContiguous(parts[0].weight.strided)) {
    return { ...whole, data: () => bytesOf(parts[0]) };
  }
  const data = async () => {
    const out = new Uint8Array(shape.reduce((product, d) => product * d, DTYPE_BYTES[dtype]));
    const values = valuesOf(out, DTYPE_BYTES[dtype]);
    for (const part of parts) {
      const bytes = await bytesOf(part);
      placeValues(valuesOf(bytes, DTYPE_BYTES[dtype]), part.weight.strided, values);
    }
    return out;
  };
  if (!parts.every(({ weight }) => isContiguous(weight.strided))) return { ...whole, data };
  const pieces = async function* () {
    for (const part of parts) yield await bytesOf(part);
  };
  return { ...whole, data, pieces };
}

/** What is written in parts, one after the other: it is read for the first one, and held. */
class Shared {
  readonly dtype: DType;
  readonly #entry: TensorEntry;
  #held: Uint8Array | null = null;

  constructor(entry: TensorEntry) {
    this.dtype = entry.dtype;
    this.#entry = entry;
  }

  async part(part: number, parts: number): Promise<Uint8Array> {
    const bytes = this.#held ?? await this.#entry.data();
    this.#held = part < parts - 1 ? bytes : null;
    const length = bytes.byteLength / parts;
    return bytes.subarray(part * length, (part + 1) * length);
  }
}

function commonDType(dtypes: readonly DType[]): DType {
  return dtypes.every((dtype) => dtype === dtypes[0]) ? dtypes[0] : "F32";
}

function converted(bytes: Uint8Array, from: DType, to: DType): Uint8Array {
  if (from === to || !isFloatDType(to)) return bytes;
  return fromFloat32(to, toFloat32(from, bytes));
}
