import { CheckpointFormatError } from "@lopper/core";
import { checkFileName } from "./model_folder.ts";
import assert from "node:assert/strict";

Deno.test("file names: only plain names are let through", () => {
  for (const name of ["config.json", "model-00001-of-00002.safetensors", "..a", "ü b", "a..b"]) {
    checkFileName("m", name);
  }
  const bad = ["", ".", "..", "../x", "a/b", "/etc/passwd", "a\\b", "C:x", "a\0", "x".repeat(256)];
  for (const name of [...bad, "ü".repeat(128)]) {
    assert.throws(() => checkFileName("m", name), (error) => {
      assert.ok(error instanceof CheckpointFormatError, name);
      assert.ok(error.message.startsWith(`m: the file name ${JSON.stringify(name)} cannot leave`));
      return true;
    });
  }
});
