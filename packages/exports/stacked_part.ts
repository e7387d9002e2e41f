import { unitTensorName } from "@lopper/models";
import { finiteFloat32, finiteHalves, type TensorInfo, type TensorStore } from "@lopper/formats";

/** One unit of a stacked tensor as a tensor of its own, and a store that has nothing else. */
export function stackedPart(
  store: TensorStore,
  stacked: TensorInfo,
  unit: number,
): { readonly tensor: TensorInfo; readonly store: TensorStore } {
  const byteLength = stacked.byteLength / stacked.shape[0];
  const start = unit * byteLength;
  const tensor: TensorInfo = {
    ...stacked,
    name: unitTensorName(stacked.name, unit),
    shape: stacked.shape.slice(1),
    offset: stacked.offset + start,
    byteLength,
  };
  const readBytes = (_: string, byteOffset = 0, length = byteLength - byteOffset) =>
    store.readBytes(stacked.name, start + byteOffset, length);
  return {
    tensor,
    store: {
      tensors: new Map([[tensor.name, tensor]]),
      readBytes,
      readFloat32: async (name) => finiteFloat32(tensor, await readBytes(name)),
      readHalves: async (name) => finiteHalves(tensor, await readBytes(name)),
      // Whoever opened the whole store closes it.
      close: () => {},
    },
  };
}
