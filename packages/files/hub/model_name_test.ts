import assert from "node:assert/strict";
import { hubModelName, writtenModelName } from "./model_name.ts";

Deno.test("hub: a model has a name, a revision and a file", () => {
  const names: readonly (readonly [string, string, string | null, string | null])[] = [
    ["org/m", "org/m", null, null],
    ["HuggingFaceTB/SmolLM2-135M", "HuggingFaceTB/SmolLM2-135M", null, null],
    ["org/m.x_y-2@v1.0", "org/m.x_y-2", "v1.0", null],
    ["org/m@refs/pr/1", "org/m", "refs/pr/1", null],
    ["org/m:a-Q8_0.gguf", "org/m", null, "a-Q8_0.gguf"],
    ["org/m@v1:onnx/model_fp16.onnx", "org/m", "v1", "onnx/model_fp16.onnx"],
  ];
  for (const [text, repository, revision, file] of names) {
    assert.deepEqual(hubModelName(text), { repository, revision, file }, text);
    assert.equal(writtenModelName({ repository, revision, file }), text);
  }
});

Deno.test("hub: paths, and names that lead elsewhere, are no models", () => {
  const others = [
    ...["", "m", "./m", "../m", "/org/m", "a/b/c", "org/", "/m", "C:/m", "C:\\m", ".org/m", "~/m"],
    ...["org/m@", "org/m:", "org/m:model.bin", "org/m@../x", "org/m@a/../b", "org/m@/x", "org/.."],
    ...["org/m:../a.gguf", "org/m:/a.gguf", "org/m:a\\b.gguf", "org/m@a b", "org/m@a@b", "-x/m"],
    ...["out/model.gguf", "out/model.onnx", "out/model.safetensors", "texts/a.txt", "a/b.json"],
  ];
  for (const text of others) assert.equal(hubModelName(text), null, text);
});
