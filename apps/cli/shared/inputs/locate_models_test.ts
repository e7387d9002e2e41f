import assert from "node:assert/strict";
import { isOnHub, namedAgain } from "./locate_models.ts";

const COMMIT = "c".repeat(40);

Deno.test("models: what is here by a path wins over the hub, and most paths are no names", async () => {
  assert.equal(await isOnHub("nobody/no-model"), true);
  const paths = ["packages/models", "./nobody", "/a/b", "a/b/c", "demo", "a/b.gguf", "../a/b"];
  for (const path of paths) assert.equal(await isOnHub(path), false, path);
});

Deno.test("models: a run goes on with the commit that it was begun with", () => {
  const begun = `org/m@${COMMIT}`;
  assert.equal(namedAgain(undefined, begun), begun);
  assert.equal(namedAgain("org/m", begun), begun);
  assert.equal(namedAgain("org/m@main", begun), "org/m@main", "which is another question");
  assert.equal(namedAgain("org/n", begun), "org/n");
  assert.equal(namedAgain("org/m:a.gguf", begun), "org/m:a.gguf");
  assert.equal(namedAgain("org/m:a.gguf", `${begun}:a.gguf`), `${begun}:a.gguf`);
  assert.equal(namedAgain("./m", "/home/m"), "./m");
  assert.equal(namedAgain(undefined, null), null);
});
