import { UsageError } from "@lopper/core";
import assert from "node:assert/strict";
import { memoryBudget } from "./memory.ts";

Deno.test("memory: sizes are read as people write them, and 60 % of what is free is the default", () => {
  assert.equal(memoryBudget("4GB", 1), 4e9);
  assert.equal(memoryBudget("1.5 GiB", 1), 1.5 * 2 ** 30);
  assert.equal(memoryBudget("512mb", 1), 512e6);
  assert.equal(memoryBudget("123", 1), 123);
  assert.equal(memoryBudget("25%", 8e9), 2e9);
  assert.equal(memoryBudget(undefined, 10e9), 6e9);
  for (const wrong of ["", "GB", "-4GB", "0", "4 apples", "1e9", "four"]) {
    assert.throws(() => memoryBudget(wrong, 1), UsageError, wrong);
  }
});
