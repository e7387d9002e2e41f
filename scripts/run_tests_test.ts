import assert from "node:assert/strict";
import { partsOf } from "./run_tests.ts";

Deno.test("run tests: every test file is in one part; the longest begins, and some are alone", () => {
  const alone = ["packages/core/mutation_test.ts", "packages/models/gguf/mutation_test.ts"];
  const longest = "tests/golden_test.ts";
  const others = ["packages/core", "packages/models", "tests"]
    .flatMap((folder) => Array.from({ length: 23 }, (_, i) => `${folder}/of_${i}_test.ts`));
  const parts = [...partsOf([...others, ...alone, longest]).values()];
  assert.deepEqual(parts[0], [longest]);
  for (const file of alone) assert.deepEqual(parts.find((part) => part.includes(file)), [file]);
  assert.deepEqual(parts.flat().toSorted(), [...others, ...alone, longest].toSorted());
});

Deno.test("run tests: there is no part without files", () => {
  assert.deepEqual([...partsOf(["tests/a_test.ts"]).values()], [["tests/a_test.ts"]]);
});
