/**
 * Logits of an exported decoder by onnxruntime-node or onnxruntime-web, as they come from npm, as
 * one JSON object.
 *
 * Usage: deno run -A read_with_onnxruntime.ts (node | web) FILE.onnx < {"ids": [...]}
 */
import { basename, dirname } from "node:path";

const [engine, file] = Deno.args;
const { ids } = await new Response(Deno.stdin.readable).json();
const ort = engine === "node" ? await import("onnxruntime-node") : await import("onnxruntime-web");
const session = engine === "node"
  ? await ort.InferenceSession.create(file)
  : await ort.InferenceSession.create(await Deno.readFile(file), await webOptions());

/**
 * A browser opens no files: it is given them. On several threads the engine may stop while the
 * machine is busy.
 */
async function webOptions() {
  ort.env.wasm.numThreads = 1;
  const externalData = [];
  for (const { name } of Deno.readDirSync(dirname(file))) {
    if (!name.startsWith(`${basename(file)}_data`)) continue;
    externalData.push({ path: name, data: await Deno.readFile(`${dirname(file)}/${name}`) });
  }
  return { executionProviders: ["wasm"], externalData };
}

const int64 = (values: readonly number[]) =>
  new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);
const past = session.inputMetadata.flatMap((input) => {
  if (!input.isTensor || !input.name.startsWith("past_key_values.")) return [];
  return [[input.name, ...input.shape] as const];
});
const { logits } = await session.run({
  input_ids: int64(ids),
  attention_mask: int64(ids.map(() => 1)),
  position_ids: int64(ids.map((_: number, i: number) => i)),
  ...Object.fromEntries(past.map(([name, , kvHeads, , headDim]) => [
    name,
    new ort.Tensor("float32", new Float32Array(0), [1, Number(kvHeads), 0, Number(headDim)]),
  ])),
});
const values = logits.data as Float32Array;
console.log(JSON.stringify({
  version: ort.env.versions[engine === "node" ? "node" : "web"],
  past,
  logits: new Uint8Array(values.buffer, values.byteOffset, values.byteLength).toBase64(),
}));
