import assert from "node:assert/strict";
import { CheckpointFormatError, LopperError, UnsupportedModelError } from "./errors.ts";
import { shown } from "./format.ts";

Deno.test("errors: a message has the length of a sentence, whatever a checkpoint calls its parts", () => {
  const tensor = "x".repeat(11_000);
  const error = new CheckpointFormatError("it is missing; put it back", { file: "m", tensor });
  assert.ok(error.message.length < 1400, `${error.message.length} characters`);
  assert.match(error.message, /^m, tensor "xxx.* … x*": it is missing; put it back$/);
  assert.equal(error.location.tensor, tensor);
  assert.equal(new LopperError("short").message, "short");
  assert.ok(new UnsupportedModelError(tensor).message.includes(" … "));
});

Deno.test("format: a value is shown as JSON, cut where it is long", () => {
  assert.equal(shown("a\n"), '"a\\n"');
  assert.equal(shown([1, null]), "[1,null]");
  assert.equal(shown(undefined), "undefined");
  assert.match(shown({ list: new Array(1000).fill("é") }), /^\{"list":\["é","é".{50,80}…$/);
});
