import {
  type AttentionShape,
  axisIndices,
  type BlockRef,
  groupSize,
  type LayerSpec,
  type ModelSpec,
} from "@lopper/core";
import { type BlockWeight, type Model, outerWeight, weightsOfBlock } from "@lopper/model-io";

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

/** One weight in float32; `rowLength` is 1 for a bias or a norm. */
interface LaidOutWeight {
  readonly data: Float32Array;
  readonly rowLength: number;
  /** What the rows run over; the rows of a narrower block are the first ones. */
  readonly span: "channel" | "query" | "kv" | null;
}

/**
 * The weights of a model in float32, laid out so that a narrower block is a prefix: rows of every matrix in the order of
 * importance, `o` and `down` transposed. Any width is then a view, without a copy.
 */
export class LaidOutWeights {
  readonly spec: ModelSpec;
  readonly embedding: Float32Array;
  readonly finalNorm: Float32Array;
  readonly lmHead: Float32Array;
  readonly #blocks: ReadonlyMap<string, ReadonlyMap<BlockWeight, LaidOutWeight>>;

  private constructor(
    spec: ModelSpec,
    outer: { embedding: Float32Array; finalNorm: Float32Array; lmHead: Float32Array },
    blocks: ReadonlyMap<string, ReadonlyMap<BlockWeight, LaidOutWeight>>,
  ) {
    this.spec = spec;
    this.embedding = outer.embedding;
    this.finalNorm = outer.finalNorm;
    this.lmHead = outer.lmHead;
    this.#blocks = blocks;
  }

  /**
   * Reads every weight of `model`.
   * @throws {CheckpointFormatError} when a weight is NaN or infinite.
   */
  static async load(model: Model, order: UnitOrder): Promise<LaidOutWeights> {
    const { spec, store } = model;
    const embedding = await store.readFloat32(outerWeight(model, "embedding").name);
    const finalNorm = await store.readFloat32(outerWeight(model, "finalNorm").name);
    const lmHead = spec.tiedEmbeddings
      ? embedding
      : await store.readFloat32(outerWeight(model, "lmHead").name);
    const blocks = new Map<string, ReadonlyMap<BlockWeight, LaidOutWeight>>();
    for (let layer = 0; layer < spec.layers.length; layer++) {
      for (const kind of ["attention", "mlp"] as const) {
        const units = kind === "attention"
          ? order.layers[layer].kvGroups
          : order.layers[layer].channels;
        if (!spec.layers[layer][kind] || !units) continue;
        blocks.set(blockKey({ layer, kind }), await layOutBlock(model, { layer, kind }, units));
      }
    }
    return new LaidOutWeights(spec, { embedding, finalNorm, lmHead }, blocks);
  }

  /** The weights of a block narrowed to `shape`, as views: data and rows of each. */
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
    return [...weights].map(([name, { data, rowLength, span }]) => {
      const rows = span === null ? data.length / rowLength : rowsOf[span];
      return { name, rows, data: data.subarray(0, rows * rowLength) };
    });
  }
}

function blockKey({ layer, kind }: BlockRef): string {
  return `${layer}.${kind}`;
}

async function layOutBlock(
  model: Model,
  ref: BlockRef,
  units: readonly number[],
): Promise<ReadonlyMap<BlockWeight, LaidOutWeight>> {
  const { spec, store, family } = model;
  const attention: AttentionShape | null = spec.layers[ref.layer].attention;
  const unitShape = {
    headDim: spec.headDim,
    queriesPerGroup: attention ? groupSize(attention) : 1,
  };
  const laidOut = new Map<BlockWeight, LaidOutWeight>();
  for (const [weight, tensor] of weightsOfBlock(model, ref)) {
    const values = await store.readFloat32(tensor.name);
    const axis = family.pruneGroups[ref.kind].axes.find((a) => a.weight === weight);
    const [rows, columns = 1] = tensor.shape;
    if (!axis) {
      laidOut.set(weight, { data: values, rowLength: 1, span: null });
      continue;
    }
    const indices = axisIndices(axis.span, units, unitShape);
    const data = axis.axis === 0
      ? gatherRows(values, columns, indices)
      : gatherColumnsAsRows(values, rows, columns, indices);
    laidOut.set(weight, { data, rowLength: axis.axis === 0 ? columns : rows, span: axis.span });
  }
  return laidOut;
}

function gatherRows(values: Float32Array, columns: number, indices: Uint32Array): Float32Array {
  const out = new Float32Array(indices.length * columns);
  indices.forEach((row, i) =>
    out.set(values.subarray(row * columns, (row + 1) * columns), i * columns)
  );
  return out;
}

function gatherColumnsAsRows(
  values: Float32Array,
  rows: number,
  columns: number,
  indices: Uint32Array,
): Float32Array {
  const out = new Float32Array(indices.length * rows);
  indices.forEach((column, i) => {
    for (let row = 0; row < rows; row++) out[i * rows + row] = values[row * columns + column];
  });
  return out;
}
