import {
  axisIndices,
  type BlockRef,
  DTYPE_BYTES,
  groupSize,
  type LayerSpec,
  type ModelSpec,
} from "@lopper/core";
import {
  type BlockWeight,
  fromFloat32,
  type Model,
  outerWeight,
  type TensorInfo,
  type WeightRole,
  weightsOfBlock,
} from "@lopper/model-io";
import {
  copyValues,
  gatherColumnsAsRows,
  gatherRows,
  readStored,
  type StoredTensor,
  tensorBytes,
} from "./stored_tensor.ts";

/** For each layer the KV groups and the channels, most important first: a permutation of all of them. */
export interface UnitOrder {
  readonly layers: readonly {
    readonly kvGroups: readonly number[] | null;
    readonly channels: readonly number[] | null;
  }[];
}

/** The order of the checkpoint itself. */
export function sourceOrder(spec: ModelSpec): UnitOrder {
  const range = (n: number) => Array.from({ length: n }, (_, i) => i);
  return {
    layers: spec.layers.map(({ attention, mlp }) => ({
      kvGroups: attention && range(attention.kvHeads),
      channels: mlp && range(mlp.intermediateSize),
    })),
  };
}

/** A weight of a block; `rowLength` is 1 for a bias or a norm. */
interface LaidOutWeight {
  readonly tensor: StoredTensor;
  readonly rowLength: number;
  /** What the rows run over; the rows of a narrower block are the first ones. */
  readonly span: "channel" | "query" | "kv" | null;
}

type LaidOutBlock = Map<BlockWeight, LaidOutWeight>;

export interface LoadOptions {
  /**
   * Bytes that half-precision matrices may take which are held in float32; without it, as many as there are. What finds
   * no room stays in half precision and is expanded for every use, which takes longer and computes the same.
   */
  readonly expandedBytes?: number;
  /** The parts that will be used; without it, all. What is not read cannot be asked for. */
  readonly only?: { readonly layer: number } | "outer";
}

/**
 * Memory that the weights of a model take, in bytes. What is held in float32 replaces its halves: with a budget of B bytes
 * loading holds at most `held + B / 2`, and where B is below `expanded`, a shared buffer of at most the larger of
 * `largestBlock` and `head` comes on top.
 */
export interface WeightMemory {
  /** What is held with a budget of 0: half-precision matrices as they are, everything else in float32. */
  readonly held: number;
  /** All half-precision matrices that graphs read, in float32: with this budget none is expanded for every use. */
  readonly expanded: number;
  /** The half-precision matrices of the largest block, in float32. */
  readonly largestBlock: number;
  /** The LM head in float32; 0 when the checkpoint has it so. */
  readonly head: number;
}

/** What loading a model will take, from its tensors' shapes and dtypes alone. */
export function weightMemory(model: Model): WeightMemory {
  const { [HEAD]: head, ...blocks } = Object.fromEntries(expansionBytes(model));
  const sizes = Object.values(blocks);
  return {
    held: model.weights.reduce((sum, { tensor }) => {
      const { half, float32 } = tensorBytes(tensor);
      return sum + (half ?? float32);
    }, 0),
    expanded: sizes.reduce((sum, bytes) => sum + bytes, head),
    largestBlock: Math.max(0, ...sizes),
    head,
  };
}

/**
 * The weights of a model, laid out so that a narrower block is a prefix: rows of every matrix in the order of importance,
 * `o` and `down` transposed. In float32 any width is then a view, without a copy. Half-precision matrices are held in
 * float32 as far as the budget goes; the others stay as they are in the checkpoint and are expanded when they are used.
 *
 * What `block` and `lmHead` return may lie in a buffer that they share: it is good until either is called again. Whoever
 * feeds it to a graph waits for that run to end first, and two decoders do not use the same weights at a time.
 */
export class LaidOutWeights {
  readonly spec: ModelSpec;
  /** `[hiddenSize]` */
  readonly finalNorm: Float32Array;
  /** Bytes of all weights as they are held; the shared buffer is apart. */
  readonly bytes: number;
  /** Those of `bytes` that are half-precision matrices in float32: at most `expandedBytes`. */
  readonly expandedBytesHeld: number;
  /** `[vocabSize, hiddenSize]`, as the LM head is. */
  readonly #embedding: StoredTensor;
  readonly #lmHead: StoredTensor;
  readonly #blocks: Map<string, LaidOutBlock>;
  #order: UnitOrder;
  /** Bytes that the shared buffer needs; it is made on its first use. */
  readonly #scratchBytes: number;
  #scratch: Float32Array | null = null;

  private constructor(
    spec: ModelSpec,
    outer: { embedding: StoredTensor; finalNorm: Float32Array; lmHead: StoredTensor },
    blocks: Map<string, LaidOutBlock>,
    order: UnitOrder,
    memory: { expandedBytesHeld: number; scratchBytes: number },
  ) {
    this.spec = spec;
    this.finalNorm = outer.finalNorm;
    this.#embedding = outer.embedding;
    this.#lmHead = outer.lmHead;
    this.#blocks = blocks;
    this.#order = order;
    const tensors = new Set([this.#embedding, this.#lmHead]);
    for (const block of blocks.values()) {
      for (const { tensor } of block.values()) tensors.add(tensor);
    }
    this.bytes = this.finalNorm.byteLength;
    for (const { data } of tensors) this.bytes += data.byteLength;
    this.expandedBytesHeld = memory.expandedBytesHeld;
    this.#scratchBytes = memory.scratchBytes;
  }

  /**
   * Reads every weight of `model`.
   * @throws {CheckpointFormatError} when a weight is NaN or infinite.
   */
  static async load(
    model: Model,
    order: UnitOrder,
    { expandedBytes = Infinity, only }: LoadOptions = {},
  ): Promise<LaidOutWeights> {
    const { spec, store } = model;
    const wanted = (layer: number | null) =>
      only === undefined || (only === "outer" ? layer === null : layer === only.layer);
    const expansions = expansionBytes(model, wanted);
    const kept = keptWithin(expansions, expandedBytes);
    const outer = async (part: "embedding" | "lmHead"): Promise<StoredTensor> =>
      wanted(null)
        ? await readStored(model, outerWeight(model, part), {
          float32: kept.has(partOf({ part }, spec)),
        })
        : { dtype: "F32", data: new Float32Array(0) };
    const embedding = await outer("embedding");
    const finalNorm = await store.readFloat32(outerWeight(model, "finalNorm").name);
    const lmHead = spec.tiedEmbeddings ? embedding : await outer("lmHead");
    const blocks = new Map<string, LaidOutBlock>();
    for (let layer = 0; layer < spec.layers.length; layer++) {
      if (!wanted(layer)) continue;
      for (const kind of ["attention", "mlp"] as const) {
        const units = kind === "attention"
          ? order.layers[layer].kvGroups
          : order.layers[layer].channels;
        if (!spec.layers[layer][kind] || !units) continue;
        const key = blockKey({ layer, kind });
        const read = { float32: kept.has(key) };
        blocks.set(key, await layOutBlock(model, { layer, kind }, units, read));
      }
    }
    let expandedBytesHeld = 0, scratchBytes = 0;
    for (const [part, bytes] of expansions) {
      if (kept.has(part)) expandedBytesHeld += bytes;
      else scratchBytes = Math.max(scratchBytes, bytes);
    }
    return new LaidOutWeights(spec, { embedding, finalNorm, lmHead }, blocks, order, {
      expandedBytesHeld,
      scratchBytes,
    });
  }

  /**
   * The first rows of a matrix whose rows are units, as many as `shape` has, replaced; values are rounded to what the
   * checkpoint can hold. Returns the rows of before.
   * @param rows in float32, as `block` has them.
   */
  replaceRows(
    ref: BlockRef,
    shape: LayerSpec,
    name: "down" | "o",
    rows: Float32Array,
  ): Float32Array {
    const before = this.block(ref, shape).find((weight) => weight.name === name)!.data.slice();
    if (rows.length !== before.length) {
      throw new RangeError(`${rows.length} values do not replace ${before.length} of ${name}`);
    }
    const { tensor } = this.#blocks.get(blockKey(ref))!.get(name)!;
    if (tensor.dtype === "F32") tensor.data.set(rows);
    else tensor.data.set(new Uint16Array(fromFloat32(tensor.dtype, rows).buffer));
    return before;
  }

  /** The order in which the units lie now. */
  get order(): UnitOrder {
    return this.#order;
  }

  /**
   * Lays the units out in another order, one tensor at a time. What was computed before with a narrower block is no longer
   * what these weights compute: streams that were kept, and copies on a device, are out of date.
   * @throws {RangeError} when the order is not one of the same units.
   */
  rearrange(order: UnitOrder) {
    const moves = this.spec.layers.flatMap((_, layer) =>
      (["attention", "mlp"] as const).flatMap((kind) => {
        const unit = kind === "attention" ? "kvGroups" : "channels";
        const block = this.#blocks.get(blockKey({ layer, kind }));
        const before = this.#order.layers[layer][unit];
        if (!block || !before) return [];
        const after = order.layers[layer]?.[unit] ?? [];
        const places = placesOf(before, after, `${unit} of layer ${layer}`);
        return places.every((place, i) => place === i) ? [] : [{ block, places, layer }];
      })
    );
    for (const { block, places, layer } of moves) {
      const shape = unitShape(this.spec, layer);
      for (const [name, weight] of block) {
        const { tensor, rowLength, span } = weight;
        if (span === null) continue;
        const moved = gatherRows(tensor, rowLength, axisIndices(span, places, shape));
        block.set(name, { ...weight, tensor: moved });
      }
    }
    this.#order = order;
  }

  /**
   * The rows of the embedding of `ids`, `[ids.length, hiddenSize]`.
   * @throws {RangeError} when an id is not in the vocabulary.
   */
  embed(ids: readonly number[]): Float32Array {
    const { hiddenSize, vocabSize } = this.spec;
    const out = new Float32Array(ids.length * hiddenSize);
    ids.forEach((id, i) => {
      if (!Number.isInteger(id) || id < 0 || id >= vocabSize) {
        throw new RangeError(`token id ${id} is not in the vocabulary, 0 to ${vocabSize - 1}`);
      }
      const row = out.subarray(i * hiddenSize, (i + 1) * hiddenSize);
      copyValues(this.#embedding, id * hiddenSize, row);
    });
    return out;
  }

  /** The LM head in float32, `[vocabSize, hiddenSize]`; good until `block` or `lmHead` is called again. */
  lmHead(): Float32Array {
    const tensor = this.#lmHead;
    return this.#float32([{ tensor, length: tensor.data.length }])[0];
  }

  /** The weights of a block narrowed to `shape` in float32: data and rows of each; good until the next call. */
  block(
    ref: BlockRef,
    shape: LayerSpec,
  ): readonly { readonly name: BlockWeight; readonly data: Float32Array; readonly rows: number }[] {
    const weights = this.#blocks.get(blockKey(ref));
    if (!weights) throw new TypeError(`layer ${ref.layer} has no ${ref.kind} block`);
    const rowsOf = {
      channel: shape.mlp?.intermediateSize ?? 0,
      query: (shape.attention?.queryHeads ?? 0) * this.spec.headDim,
      kv: (shape.attention?.kvHeads ?? 0) * this.spec.headDim,
    };
    const parts = [...weights].map(([name, { tensor, rowLength, span }]) => {
      const rows = span === null ? tensor.data.length / rowLength : rowsOf[span];
      return { name, rows, tensor, length: rows * rowLength };
    });
    const data = this.#float32(parts);
    return parts.map(({ name, rows }, i) => ({ name, rows, data: data[i] }));
  }

  /** The first `length` values of each tensor in float32: views, or expanded side by side into the shared buffer. */
  #float32(prefixes: readonly { readonly tensor: StoredTensor; readonly length: number }[]) {
    let used = 0;
    return prefixes.map(({ tensor, length }) => {
      if (tensor.dtype === "F32") return tensor.data.subarray(0, length);
      this.#scratch ??= new Float32Array(this.#scratchBytes / DTYPE_BYTES.F32);
      const out = this.#scratch.subarray(used, used += length);
      copyValues(tensor, 0, out);
      return out;
    });
  }
}

/** The part that the LM head is, beside the blocks. */
const HEAD = "lmHead";

/** What is expanded together with a weight: its block, or the LM head. */
function partOf(role: WeightRole, { tiedEmbeddings }: ModelSpec): string {
  if (role.part === "attention" || role.part === "mlp") {
    return blockKey({ layer: role.layer, kind: role.part });
  }
  return role.part === "embedding" && tiedEmbeddings ? HEAD : role.part;
}

/**
 * Bytes of the half-precision matrices of the LM head and of each block in float32, what is used most coming first: every
 * candidate runs the head and, where the blocks before its own are known, the later blocks.
 */
function expansionBytes(
  model: Model,
  wanted: (layer: number | null) => boolean = () => true,
): ReadonlyMap<string, number> {
  const bytesOf = (tensor: TensorInfo) => {
    const { float32, half } = tensorBytes(tensor);
    return half === null ? 0 : float32;
  };
  const found = new Map([[HEAD, wanted(null) ? bytesOf(outerWeight(model, "lmHead")) : 0]]);
  for (const { role, tensor } of model.weights.toReversed()) {
    if ((role.part !== "attention" && role.part !== "mlp") || !wanted(role.layer)) continue;
    const part = partOf(role, model.spec);
    found.set(part, (found.get(part) ?? 0) + bytesOf(tensor));
  }
  return found;
}

/**
 * The parts that a budget of bytes has room for, the first that fit, for good. A forward pass goes through the blocks in a
 * circle, and whatever evicts there (the least recently used, say) evicts what is needed next.
 * @throws {RangeError} when the budget is no size.
 */
function keptWithin(sizes: ReadonlyMap<string, number>, budget: number): ReadonlySet<string> {
  if (!(budget >= 0)) {
    throw new RangeError(`expandedBytes is ${budget}; it needs to be a number of bytes from 0 on`);
  }
  const kept = new Set<string>();
  let left = budget;
  for (const [part, bytes] of sizes) {
    if (bytes > left) continue;
    left -= bytes;
    kept.add(part);
  }
  return kept;
}

function blockKey({ layer, kind }: BlockRef): string {
  return `${layer}.${kind}`;
}

/** Channels of a KV group along the axes of a layer's attention. */
function unitShape({ headDim, layers }: ModelSpec, layer: number) {
  const { attention } = layers[layer];
  return { headDim, queriesPerGroup: attention ? groupSize(attention) : 1 };
}

/** For each unit of `after` its place in `before`. @throws {RangeError} when they are not the same units. */
function placesOf(before: readonly number[], after: readonly number[], what: string): number[] {
  const place = new Map(before.map((unit, i) => [unit, i]));
  const places = after.flatMap((unit) => place.get(unit) ?? []);
  if (after.length === before.length && new Set(places).size === before.length) return places;
  throw new RangeError(`the order of the ${what} does not have the ${before.length} units there`);
}

async function layOutBlock(
  model: Model,
  ref: BlockRef,
  units: readonly number[],
  options: { float32: boolean },
): Promise<LaidOutBlock> {
  const { spec, family } = model;
  const shape = unitShape(spec, ref.layer);
  const laidOut: LaidOutBlock = new Map();
  for (const [weight, info] of weightsOfBlock(model, ref)) {
    const read = await readStored(model, info, options);
    const axis = family.pruneGroups[ref.kind].axes.find((a) => a.weight === weight);
    const [rows, columns = 1] = info.shape;
    if (!axis) {
      laidOut.set(weight, { tensor: read, rowLength: 1, span: null });
      continue;
    }
    const indices = axisIndices(axis.span, units, shape);
    const tensor = axis.axis === 0
      ? gatherRows(read, columns, indices)
      : gatherColumnsAsRows(read, columns, indices);
    laidOut.set(weight, { tensor, rowLength: axis.axis === 0 ? columns : rows, span: axis.span });
  }
  return laidOut;
}
