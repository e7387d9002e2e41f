import type { Block, FloatDType, Shape } from "@lopper/core";
import { fromFloat32, toFloat32 } from "@lopper/formats";
import type { Decoder } from "@lopper/runtime";

/** A projection `[channels, hiddenSize]`, in the bytes of the checkpoint's dtype. */
interface StoredRows {
  readonly dtype: FloatDType;
  readonly bytes: Uint8Array;
}

/** Output projections by the numbers of their blocks. */
export type Projections = ReadonlyMap<number, StoredRows>;

/** The model whose projections are refitted. */
export interface RefitModel {
  /** Its weights are refitted in place; they begin as the checkpoint has them, kept units first. */
  readonly decoder: Decoder;
  /** What the plan leaves. */
  readonly shape: Shape;
  /** The dtype in which the checkpoint has the output projection of a block. */
  readonly dtypeOf: (block: Block) => FloatDType;
}

/** @param rows in float32, and such that the dtype holds them. */
export function stored(dtype: FloatDType, rows: Float32Array): StoredRows {
  return { dtype, bytes: fromFloat32(dtype, rows) };
}

/** Puts projections into the decoder's weights. @returns those in whose place they are now. */
export async function exchange(
  { decoder, shape, dtypeOf }: RefitModel,
  by: Projections,
): Promise<Projections> {
  const before = new Map<number, StoredRows>();
  for (const [block, { dtype, bytes }] of by) {
    const rows = toFloat32(dtype, bytes);
    const old = await decoder.weights.replaceOutput(block, shape[block]!, rows);
    before.set(block, stored(dtypeOf(decoder.blocks[block]), old));
  }
  return before;
}

/** What is done with projections in the decoder's weights, which are afterwards as they were. */
export async function during<T>(
  model: RefitModel,
  by: Projections,
  run: () => Promise<T>,
): Promise<T> {
  const old = await exchange(model, by);
  try {
    return await run();
  } finally {
    await exchange(model, old);
  }
}
