import { MemoryFolder } from "@lopper/formats";
import assert from "node:assert/strict";
import { cardMetadata, readCardMetadata } from "./source_metadata.ts";

const NONE = { license: [], language: [], datasets: [], base_model: [], tags: [] };
const metadata = (yaml: string) => cardMetadata(`---\n${yaml}\n---\n# A model\n`);

Deno.test("source's card: metadata are read as the hub takes them, one value or a list", () => {
  const yaml = "license: mit\nlanguage: no\ndatasets:\n- a/b\n- c\nbase_model: [x/y]\ntags:\n- t";
  const expected = {
    license: ["mit"],
    language: ["no"],
    datasets: ["a/b", "c"],
    base_model: ["x/y"],
    tags: ["t"],
  };
  assert.deepEqual(metadata(yaml), expected);
  assert.deepEqual(cardMetadata(`\ufeff---\r\n${yaml.replaceAll("\n", "\r\n")}\r\n---`), expected);
});

Deno.test("source's card: what is no metadata is passed over, the rest counts", () => {
  const strange = "license: {a: 1}\nlanguage: [en, 5, english please]\ndatasets: [a b, <c>, d]\n" +
    "license_name: [1]\nlicense_link: 5\ntags: 7";
  assert.deepEqual(metadata(strange), {
    ...NONE,
    language: ["en"],
    datasets: ["d"],
    ...undefineds(),
  });
  for (const none of ["", "[1, 2]", "a: b: c", "- x", "text", `a: ${"x".repeat(200_000)}`]) {
    const found = metadata(none);
    assert.ok(found === null, none.slice(0, 20));
  }
  assert.equal(cardMetadata("# no metadata\n\n---\nlicense: mit\n---\n"), null);
  // what would be larger than any memory when its aliases are filled in
  const bomb = [
    "a: &a [x]",
    ..."bcdefghijk".split("").map((key, i) => {
      const before = "abcdefghijk"[i];
      return `${key}: &${key} [${Array(10).fill(`*${before}`).join(", ")}]`;
    }),
  ];
  assert.equal(metadata(bomb.join("\n")), null);
});

function undefineds() {
  return { license_name: undefined, license_link: undefined };
}

Deno.test("source's card: it is looked for where the hub does", async () => {
  const card = "---\nlicense: mit\n---\n";
  const read = (files: Record<string, string>) =>
    readCardMetadata(new MemoryFolder("model", files));
  assert.deepEqual((await read({ "README.md": card }))?.license, ["mit"]);
  assert.equal(await read({ "readme.txt": card }), null);
  assert.equal(await read({ "README.md": card + " ".repeat(5_000_000) }), null);
});
