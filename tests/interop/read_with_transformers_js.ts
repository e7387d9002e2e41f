/**
 * Opens a model folder with transformers.js and prints what it computes, as one JSON object.
 *
 * Usage: deno run --no-config --no-lock -A read_with_transformers_js.ts DIR DTYPE DEVICE < {"ids":
 * [...], "text": "...", "short": "...", "new_tokens": n}
 *
 * `logits` are those of `ids`, in base64 of little-endian float32; `text` is continued by itself,
 * and together with `short`.
 */
import { basename, dirname } from "node:path";

const [folder, dtype, device] = Deno.args;
const { ids, text, short, new_tokens } = await new Response(Deno.stdin.readable).json();
// Neither in the import map nor a literal: with it come further 190 MB of engines, which whoever
// installs Lopper, or checks the types of its tests, does not need.
const library = "npm:@huggingface/transformers@4.3.1";
const { AutoModelForCausalLM, AutoTokenizer, env, Tensor } = await import(library);
env.allowRemoteModels = false;
env.localModelPath = dirname(folder);

const id = basename(folder);
const model = await AutoModelForCausalLM.from_pretrained(id, { dtype, device });
const tokenizer = await AutoTokenizer.from_pretrained(id);
const inputs = await tokenizer(text);
const row = (values: readonly number[]) =>
  new Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);
const { logits } = await model({
  input_ids: row(ids),
  attention_mask: row(ids.map(() => 1)),
});
// A prompt that ends the text would end the generation before it begins.
const options = { max_new_tokens: new_tokens, min_new_tokens: new_tokens, do_sample: false };
const generate = async (texts: string | string[]) => {
  const inputs = await tokenizer(texts, { padding: true });
  return (await model.generate({ ...inputs, ...options })).tolist().map((row: bigint[]) =>
    row.map(Number)
  );
};
tokenizer.padding_side = "left";
tokenizer.pad_token ??= tokenizer.decode([0]);
tokenizer.pad_token_id ??= 0;

const session = model.sessions.model;
const values = logits.data as Float32Array;
console.log(JSON.stringify({
  version: env.version,
  inputs: session.inputMetadata.map((
    { name, shape }: { name: string; shape: readonly (string | number)[] },
  ) => [name, ...shape]),
  ids: inputs.input_ids.tolist()[0].map(Number),
  logits: new Uint8Array(values.buffer, values.byteOffset, values.byteLength).toBase64(),
  greedy: (await generate(text))[0],
  batch: await generate([text, short]),
  padding: tokenizer.pad_token_id,
  text: tokenizer.batch_decode(await model.generate({ ...inputs, ...options }), {
    skip_special_tokens: true,
  })[0],
}));
