import { UnsupportedModelError } from "@lopper/core";
import { MemoryFolder, MemorySource } from "@lopper/formats";
import { openModel } from "../open_model.ts";
import type { Entry } from "@lopper/formats/testing";
import { float32Tensor, type TinyChange, tinyGguf } from "../testing/tiny_gguf.ts";
import { llamaCppEnds, type NamedEnds } from "@lopper/tokenizers";
import { openGgufModel } from "./gguf_model.ts";
import assert from "node:assert/strict";

const open = (change: TinyChange = {}, name = "m.gguf") =>
  openGgufModel(new MemorySource(name, tinyGguf(change)));

/** The texts at which llama.cpp ends a text of a vocabulary of these tokens. */
const endsOf = (tokens: string, named: NamedEnds = {}) => {
  const texts = tokens.split(" ");
  return llamaCppEnds(new Map(texts.map((text, id) => [text, id])), named)
    .map((id) => texts[id]).join(" ");
};

Deno.test("end tokens: those that a file names come first, then those whose text says so", () => {
  assert.equal(endsOf("a b c d"), "");
  assert.equal(endsOf("a b c d", { eom: 3, eot: 1, eos: 2 }), "c b d");
  assert.equal(
    endsOf("<|im_end|> a <|eot_id|> b <|eom_id|>", { eos: 3 }),
    [
      ...["b", "<|eot_id|>", "<|im_end|>", "<|eom_id|>"],
    ].join(" "),
  );
  assert.equal(
    endsOf("<|fim_pad|> <|repo_name|> <|file_sep|> <|fim_prefix|>"),
    [
      ...["<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"],
    ].join(" "),
  );
  // Where a file says which it is, its text says nothing.
  assert.equal(endsOf("<|fim_pad|> a", { fim_pad: 1 }), "a");
});

Deno.test("end tokens: some texts end none where the vocabulary is of another kind", () => {
  assert.equal(endsOf("<|end|> <|return|>"), "<|end|> <|return|>");
  assert.equal(endsOf("<|end|> <|return|> <|call|>"), "<|return|> <|call|>");
  assert.equal(endsOf("<|end|> <|calls|> <|flush|>"), "<|calls|> <|flush|>");
  assert.equal(endsOf("</s> <|tool_response>"), "<|tool_response>");
  assert.equal(endsOf("</s> <|end|>"), "<|end|> </s>");
});

Deno.test("GGUF model: texts end at all tokens at which llama.cpp ends them, and the config names the file's own", async () => {
  const ids = (eot: number, eom: number): Entry[] => [
    ["tokenizer.ggml.eot_token_id", "uint32", eot],
    ["tokenizer.ggml.eom_token_id", "uint32", eom],
  ];
  const model = await open({ entries: ids(3, 4) });
  assert.deepEqual(model.architecture.eosTokenIds, [2, 3, 4]);
  assert.deepEqual(model.config.eos_token_id, [2, 3]);
  const generation = new TextDecoder().decode(
    await model.folder.readBytes("generation_config.json", 1e4),
  );
  assert.deepEqual(JSON.parse(generation).eos_token_id, [2, 3, 4]);
  // "</s>" by its text, where the file names another; what no token has ends nothing
  const other = await open({
    entries: [...ids(3, 99), ["tokenizer.ggml.eos_token_id", "uint32", 5]],
  });
  assert.deepEqual(other.architecture.eosTokenIds, [5, 3, 2]);
});

Deno.test("GGUF model: a SentencePiece vocabulary has its end where none is named", async () => {
  const embedding = float32Tensor("token_embd.weight", [4, 32], new Array(128).fill(0.5));
  const tokens: Entry = ["tokenizer.ggml.tokens", "array", "string", ["a", "b", "c", "d"]];
  const vocabulary = { tensors: [embedding], without: ["tokenizer.ggml.eos_token_id"] };
  const kind = (value: string): Entry[] => [tokens, ["tokenizer.ggml.model", "string", value]];
  assert.deepEqual(
    (await open({ ...vocabulary, entries: kind("llama") })).architecture.eosTokenIds,
    [2],
  );
  assert.deepEqual((await open({ ...vocabulary, entries: kind("t5") })).architecture.eosTokenIds, [
    1,
  ]);
  assert.deepEqual(
    (await open({ ...vocabulary, entries: kind("gpt2") })).architecture.eosTokenIds,
    [],
  );
});

Deno.test("GGUF model: metadata that Lopper does not know is named, and origins are not", async () => {
  const { notes } = await open({
    entries: [
      ["general.license", "string", "mit"],
      ["quantize.imatrix.file", "string", "x.dat"],
      ["tokenizer.ggml.mask_token_id", "uint32", 1],
      ["tokenizer.chat_template.rag", "string", "R"],
      ["somebody.odd", "uint32", 1],
      ["tokenizer.ggml.suppress_tokens", "array", "int32", [1]],
      ["tokenizer.ggml.remove_extra_whitespaces", "bool", true],
      ["tokenizer.ggml.precompiled_charsmap", "array", "uint8", [1]],
    ],
  });
  assert.deepEqual(notes, [
    "somebody.odd and tokenizer.ggml.suppress_tokens: passed over, since Lopper knows no such metadata",
  ]);
  assert.deepEqual((await open()).notes, []);
});

Deno.test("GGUF model: parts of a model, and files without one, are told by what they are", async () => {
  const refuses = async (change: TinyChange, name: string, message: RegExp) => {
    await assert.rejects(open(change, name), (error: Error) => {
      assert.ok(error instanceof UnsupportedModelError, String(error));
      assert.match(error.message, message);
      return true;
    });
  };
  const split: Entry[] = [["split.no", "uint16", 1], ["split.count", "uint16", 3]];
  await refuses(
    // A part behind the first has no more metadata than that.
    { entries: split, without: ["general.architecture"] },
    "dir/a-00002-of-00003.gguf",
    /: it is part 2 of 3 of a model; join them with llama-gguf-split --merge a-00001-of-00003\.gguf a\.gguf$/,
  );
  await refuses({ entries: split }, "b.gguf", /part 2 of 3 .* --merge FIRST_PART WHOLE_FILE$/);
  const tensors = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]
    .concat("attn_norm", "ffn_norm").map((name) => `blk.0.${name}.weight`);
  await refuses(
    { withoutTensors: [...tensors, "token_embd.weight", "output_norm.weight"] },
    "v.gguf",
    /^v\.gguf: it has no weights, only metadata and a vocabulary$/,
  );
  await refuses(
    {
      entries: [
        ["llama.rope.scaling.type", "string", "dynamic"],
        ["llama.rope.scaling.yarn_log_multiplier", "float32", 0.1],
      ],
    },
    "y.gguf",
    /llama\.rope\.scaling\.type is "dynamic"; Lopper computes none, linear, yarn, longrope$/,
  );
});

Deno.test("GGUF model: what lies beside the only GGUF file of a folder is named; parts are told as such", async () => {
  const file = tinyGguf();
  const folder = (files: Record<string, Uint8Array | string>) =>
    openModel(new MemoryFolder("m", files));
  const { notes } = await folder({ "a.gguf": file, "README.md": "", "tokenizer.json": "{}" });
  assert.deepEqual(notes, [
    "tokenizer.json: passed over, since a.gguf has config and tokenizer in it",
  ]);
  await assert.rejects(
    folder({ "a-00001-of-00002.gguf": file, "a-00002-of-00002.gguf": file }),
    /m holds 2 GGUF files .* parts of one model: join them .* --merge a-00001-of-00002\.gguf a\.gguf/,
  );
});
