import assert from "node:assert/strict";
import { neededFiles } from "./needed_files.ts";

function needed(paths: readonly string[], read: readonly string[]): readonly string[] {
  const files = new Map(paths.map((path) => [path, 1]));
  return [...neededFiles(files, new Set(read)).keys()];
}

Deno.test("a run keeps what was read of a model and what is handed on, and nothing that is passed over", () => {
  const paths = [
    ...["config.json", "model.safetensors", "pytorch_model.bin", "LICENSE", "tokenizer.model"],
    ...["original/consolidated.pth", "chat_template.jinja", "README.md", "notes.md"],
  ];
  assert.deepEqual(
    needed(paths, ["config.json", "model.safetensors"]),
    paths.filter((path) =>
      !["pytorch_model.bin", "original/consolidated.pth", "notes.md"].includes(path)
    ),
  );
});

Deno.test("a run keeps all that lies beside an ONNX file that was read", () => {
  const paths = ["config.json", "onnx/model.onnx", "onnx/model.onnx_data", "other/model.onnx_data"];
  assert.deepEqual(needed(paths, ["config.json", "onnx/model.onnx"]), paths.slice(0, 3));
});
