import type { Block, FloatDType, Shape } from "@lopper/core";
import { fromFloat32, toFloat32 } from "@lopper/formats";
import type { Decoder, KeptBytes, Workspace } from "@lopper/runtime";

/** A projection `[channels, hiddenSize]` in the checkpoint's dtype, in a workspace. */
interface StoredRows {
  readonly dtype: FloatDType;
  readonly kept: KeptBytes;
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
export async function stored(
  workspace: Workspace,
  dtype: FloatDType,
  rows: Float32Array,
): Promise<StoredRows> {
  return { dtype, kept: await workspace.keep(fromFloat32(dtype, rows)) };
}

/** In float32. */
export async function rowsOf({ dtype, kept }: StoredRows): Promise<Float32Array> {
  return toFloat32(dtype, await kept.read());
}

/** Lets projections go that nobody puts anywhere any more. */
export function drop(projections: Projections) {
  for (const { kept } of projections.values()) kept.drop();
}

/** Puts projections into the decoder's weights. @returns those in whose place they are now. */
export async function exchange(
  { decoder, shape, dtypeOf }: RefitModel,
  by: Projections,
): Promise<Projections> {
  const before = new Map<number, StoredRows>();
  for (const [block, projection] of by) {
    const rows = await rowsOf(projection);
    const old = await decoder.weights.replaceOutput(block, shape[block]!, rows);
    const dtype = dtypeOf(decoder.blocks[block]);
    before.set(block, await stored(decoder.weights.workspace, dtype, old));
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
    drop(await exchange(model, old));
    drop(old);
  }
}
