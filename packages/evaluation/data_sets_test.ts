import assert from "node:assert/strict";
import { DATA_SETS, dataFiles } from "./data_sets.ts";
import { TASKS } from "./tasks/mod.ts";

Deno.test("data sets: every task has one", () => {
  const names = ["wikitext2", ...TASKS.map(({ name }) => name)].sort();
  assert.deepEqual(Object.keys(DATA_SETS).sort(), names);
});

Deno.test("data sets: the evaluated split is found, in the hub's layouts and as its publisher has it", () => {
  const parts = ["train", "validation", "test"];
  const hub = (folder: string) => parts.map((split) => `${folder}${split}-00000-of-00001.parquet`);
  const found = (name: string, paths: readonly string[]) => dataFiles(DATA_SETS[name], paths);
  const arc = ["ARC-Challenge/", "ARC-Easy/"].flatMap(hub);
  assert.deepEqual(found("arc_easy", arc), ["ARC-Easy/test-00000-of-00001.parquet"]);
  assert.deepEqual(found("arc_challenge", arc), ["ARC-Challenge/test-00000-of-00001.parquet"]);
  assert.deepEqual(found("hellaswag", hub("data/")), ["data/validation-00000-of-00001.parquet"]);
  const converted = parts.map((split) => `plain_text/${split}/0000.parquet`);
  assert.deepEqual(found("piqa", converted), ["plain_text/validation/0000.parquet"]);
  const wikitext = ["wikitext-103-raw-v1/", "wikitext-2-raw-v1/", "wikitext-2-v1/"].flatMap(hub);
  assert.deepEqual(found("wikitext2", wikitext), [
    "wikitext-2-raw-v1/test-00000-of-00001.parquet",
  ]);
  const shards = ["1", "0"].map((n) => `main/test-0000${n}-of-00002.parquet`);
  assert.deepEqual(found("openbookqa", [...shards, "main/train-00000-of-00001.parquet"]), [
    "main/test-00000-of-00002.parquet",
    "main/test-00001-of-00002.parquet",
  ]);
  assert.deepEqual(found("openbookqa", shards.slice(1)), [], "a part of the parts is no data set");
  assert.deepEqual(found("piqa", [0, 1].map((n) => `plain_text/validation/000${n}.parquet`)), [
    "plain_text/validation/0000.parquet",
    "plain_text/validation/0001.parquet",
  ]);
  assert.deepEqual(found("winogrande", ["dev.jsonl.gz", "train_xl.jsonl"]), ["dev.jsonl.gz"]);
  assert.deepEqual(
    found("lambada_openai", ["data/lambada_test.jsonl", "data/lambada_test_de.jsonl"]),
    [
      "data/lambada_test.jsonl",
    ],
  );
  assert.deepEqual(found("boolq", ["readme.md"]), []);
});
