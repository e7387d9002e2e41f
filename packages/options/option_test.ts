import { UsageError } from "@lopper/core";
import assert from "node:assert/strict";
import { checkParts, flagOf, names, off, on, text, texts, wordsOf } from "./mod.ts";

const TABLE = {
  targetBytes: { form: text("size"), help: "" },
  names: { form: names(["a", "b", "c"]), help: "" },
  files: { form: texts("file"), help: "" },
  json: { form: on, help: "" },
  bos: { form: off, help: "" },
  part: { form: text("word"), help: "", partOf: "targetBytes" },
} as const;

Deno.test("options: their words are their names and values, and nothing for what is not given", () => {
  assert.equal(flagOf("targetBytes", TABLE.targetBytes.form), "--target-bytes");
  const values = {
    files: ["x", "y"],
    targetBytes: "4GB",
    names: ["a", "c"],
    json: true,
    bos: false,
  };
  const words = "--target-bytes 4GB --names a,c --files x --files y --json --no-bos";
  assert.deepEqual(wordsOf(TABLE, values), words.split(" "));
  const none = { targetBytes: null, names: [], files: [], json: false, bos: true };
  assert.deepEqual(wordsOf(TABLE, none), []);
});

Deno.test("options: names are taken in their own order, each once, and others are refused", () => {
  const { parse } = TABLE.names.form;
  assert.deepEqual(parse(" c,a ,,c", { absolute: String }), ["a", "c"]);
  assert.deepEqual(parse("", { absolute: String }), []);
  assert.throws(() => parse("a,d", { absolute: String }), /"d" is none; it needs names of a, b, c/);
});

Deno.test("options: what says more of another needs that one", () => {
  checkParts(TABLE, { part: "x", targetBytes: "1" });
  checkParts(TABLE, {});
  assert.throws(() => checkParts(TABLE, { part: "x" }), UsageError);
});
