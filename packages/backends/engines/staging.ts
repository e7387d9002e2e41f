import type { Feeds, HostTensor } from "../backend.ts";

/** Of every value, in bytes: that of the largest element. */
const ALIGNMENT = 8;

/** Feeds where an engine can read them, and what of them it takes over. */
export interface StagedFeeds {
  readonly feeds: Feeds;
  readonly transfer: readonly ArrayBuffer[];
}

/**
 * Where feeds are laid for engines in other threads. What several engines read is written once,
 * into memory that all share; a page that is not isolated has none, and each engine gets a copy.
 */
export class Staging {
  readonly #shared = "SharedArrayBuffer" in globalThis;
  readonly #free: SharedArrayBuffer[] = [];

  /** Lays out the feeds of every part for the time of `run`. */
  async use<T>(
    parts: readonly Feeds[],
    run: (staged: readonly (() => StagedFeeds)[]) => Promise<T>,
  ): Promise<T> {
    if (!this.#shared) return await run(parts.map((feeds) => () => copyOf(feeds)));
    const tensors = new Set(parts.flatMap((feeds) => Object.values(feeds)));
    const buffer = this.#take(sum([...tensors].map(({ data }) => aligned(data.byteLength))));
    try {
      const staged = layOut(tensors, buffer);
      return await run(parts.map((feeds) => () => ({
        feeds: mapFeeds(feeds, (tensor) => staged.get(tensor)!),
        transfer: [],
      })));
    } finally {
      this.#free.push(buffer);
    }
  }

  /** A buffer of at least so many bytes; smaller ones that were kept are let go. */
  #take(bytes: number): SharedArrayBuffer {
    const free = this.#free.pop();
    return free && free.byteLength >= bytes ? free : new SharedArrayBuffer(bytes);
  }
}

/** Copies tensors into a buffer, one after another. */
function layOut(
  tensors: Iterable<HostTensor>,
  buffer: SharedArrayBuffer,
): ReadonlyMap<HostTensor, HostTensor> {
  const staged = new Map<HostTensor, HostTensor>();
  let at = 0;
  for (const tensor of tensors) {
    const { data } = tensor;
    const copy = new (data.constructor as Float32ArrayConstructor)(buffer, at, data.length);
    copy.set(data as Float32Array);
    staged.set(tensor, { ...tensor, data: copy } as HostTensor);
    at += aligned(data.byteLength);
  }
  return staged;
}

function copyOf(feeds: Feeds): StagedFeeds {
  const copies = mapFeeds(
    feeds,
    (tensor) => ({ ...tensor, data: tensor.data.slice() } as HostTensor),
  );
  const buffers = Object.values(copies).map(({ data }) => data.buffer as ArrayBuffer);
  return { feeds: copies, transfer: buffers };
}

function mapFeeds(feeds: Feeds, change: (tensor: HostTensor) => HostTensor): Feeds {
  return Object.fromEntries(
    Object.entries(feeds).map(([name, tensor]) => [name, change(tensor)]),
  );
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}
