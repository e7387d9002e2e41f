import type { FloatDType } from "@lopper/core";
import {
  fromFloat32,
  MemoryFolder,
  MemorySink,
  type TensorInfo,
  writeSafetensors,
} from "@lopper/formats";
import { type Model, openModel, packedEntries, withOwnKeys } from "@lopper/models";

/** `model` with each tensor in the dtype that `dtypeOf` gives it; `change` may alter its bytes. */
export async function recoded(
  model: Model,
  dtypeOf: (tensor: TensorInfo) => FloatDType,
  change: (name: string, bytes: Uint8Array) => Uint8Array = (_, bytes) => bytes,
): Promise<Model> {
  const sink = new MemorySink();
  const entries = model.weights.map(({ tensor }) => {
    const dtype = dtypeOf(tensor);
    const data = async () =>
      change(tensor.name, fromFloat32(dtype, await model.store.readFloat32(tensor.name)));
    return { name: tensor.name, dtype, shape: tensor.shape, data };
  });
  await writeSafetensors(sink, packedEntries(model.architecture, model.family, entries));
  await sink.commit();
  const config = withOwnKeys(model.config, model.family);
  const files = { "config.json": JSON.stringify(config), "model.safetensors": sink.bytes };
  return await openModel(new MemoryFolder("recoded", files));
}
