import { type DType, DTYPE_BYTES } from "@lopper/core";
import type { ByteSink } from "../byte_sink.ts";

/** The size at which transformers begins a new shard by default. */
const DEFAULT_SHARD_BYTES = 5_000_000_000;
/** Data begins on a multiple of this, so that any dtype can be mapped in place. */
const ALIGNMENT_BYTES = 8;

/** A tensor to be written; its bytes are asked for when their turn comes. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  data(): Promise<Uint8Array>;
  /** The same bytes piece by piece, where they need not be in memory together. */
  pieces?(): AsyncIterable<Uint8Array>;
}

export interface Shard {
  readonly file: string;
  readonly entries: readonly TensorEntry[];
}

/**
 * Writes a safetensors file: the header, then the data of each entry in order. One tensor is in
 * memory at a time.
 * @throws {TypeError} when an entry's data is not of the length that its shape and dtype promise.
 */
export async function writeSafetensors(
  sink: ByteSink,
  entries: readonly TensorEntry[],
  metadata: Readonly<Record<string, string>> = { format: "pt" },
): Promise<void> {
  const header: [string, unknown][] = [["__metadata__", metadata]];
  let offset = 0;
  for (const entry of entries) {
    const end = offset + tensorBytes(entry);
    header.push([
      entry.name,
      { dtype: entry.dtype, shape: entry.shape, data_offsets: [offset, end] },
    ]);
    offset = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const padded = Math.ceil(json.byteLength / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
  const head = new Uint8Array(8 + padded).fill(0x20, 8);
  new DataView(head.buffer).setBigUint64(0, BigInt(padded), true);
  head.set(json, 8);
  await sink.write(head);
  for (const entry of entries) {
    let written = 0;
    for await (const bytes of entry.pieces?.() ?? [await entry.data()]) {
      written += bytes.byteLength;
      if (written > tensorBytes(entry)) break;
      await sink.write(bytes);
    }
    if (written !== tensorBytes(entry)) {
      throw new TypeError(
        `tensor ${entry.name} gave ${written} bytes instead of ${tensorBytes(entry)}`,
      );
    }
  }
}

/**
 * Distributes tensors, in order, over files of at most `maxShardBytes` of data (a larger tensor
 * gets a file of its own), with names and index as transformers writes them; the index is undefined
 * when one file is enough.
 */
export function planShards(
  entries: readonly TensorEntry[],
  maxShardBytes = DEFAULT_SHARD_BYTES,
): { readonly shards: readonly Shard[]; readonly indexJson: string | undefined } {
  const groups: TensorEntry[][] = [[]];
  let filled = 0, total = 0;
  for (const entry of entries) {
    const bytes = tensorBytes(entry);
    if (filled > 0 && filled + bytes > maxShardBytes) {
      groups.push([]);
      filled = 0;
    }
    groups[groups.length - 1].push(entry);
    filled += bytes;
    total += bytes;
  }
  if (groups.length === 1) {
    return { shards: [{ file: "model.safetensors", entries }], indexJson: undefined };
  }
  const number = (n: number) => String(n).padStart(5, "0");
  const shards = groups.map((group, i) => ({
    file: `model-${number(i + 1)}-of-${number(groups.length)}.safetensors`,
    entries: group,
  }));
  const placement = shards.flatMap(({ file, entries }) => entries.map(({ name }) => [name, file]));
  const index = { metadata: { total_size: total }, weight_map: Object.fromEntries(placement) };
  return { shards, indexJson: JSON.stringify(index, null, 2) + "\n" };
}

function tensorBytes({ dtype, shape }: TensorEntry): number {
  return shape.reduce((product, d) => product * d, DTYPE_BYTES[dtype]);
}
