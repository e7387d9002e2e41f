/**
 * Opens a model folder with transformers.js and prints what it computes, as one JSON object.
 *
 * Usage: deno run --no-config --no-lock -A read_with_transformers_js.ts DIR DTYPE DEVICE TEXT NEW_TOKENS
 */
import { basename, dirname } from "node:path";

const [folder, dtype, device, text, count] = Deno.args;
// Neither in the import map nor a literal: with it come further 190 MB of engines, which whoever installs Lopper, or checks
// the types of its tests, does not need.
const library = "npm:@huggingface/transformers@4.3.1";
const { AutoModelForCausalLM, AutoTokenizer, env } = await import(library);
env.allowRemoteModels = false;
env.localModelPath = dirname(folder);

const id = basename(folder);
const model = await AutoModelForCausalLM.from_pretrained(id, { dtype, device });
const tokenizer = await AutoTokenizer.from_pretrained(id);
const inputs = await tokenizer(text);
const { logits } = await model(inputs);
const generate = async (texts: string | string[]) => {
  const inputs = await tokenizer(texts, { padding: true });
  const options = { max_new_tokens: Number(count), do_sample: false };
  return (await model.generate({ ...inputs, ...options })).tolist().map((row: bigint[]) =>
    row.map(Number)
  );
};
tokenizer.padding_side = "left";
tokenizer.pad_token ??= tokenizer.decode([0]);
tokenizer.pad_token_id ??= 0;

const session = model.sessions.model;
console.log(JSON.stringify({
  version: env.version,
  inputs: session.inputMetadata.map((
    { name, shape }: { name: string; shape: readonly (string | number)[] },
  ) => [name, ...shape]),
  ids: inputs.input_ids.tolist()[0].map(Number),
  logits: Array.from(logits.data as Float32Array),
  greedy: (await generate(text))[0],
  batch: await generate([text, text.split(" ").slice(0, 3).join(" ")]),
  text: tokenizer.batch_decode(
    await model.generate({
      ...inputs,
      max_new_tokens: Number(count),
      do_sample: false,
    }),
    { skip_special_tokens: true },
  )[0],
}));
