import assert from "node:assert/strict";
import { otherVersions } from "./versions.ts";

Deno.test("release: every package has the version that results record", async () => {
  assert.deepEqual(await otherVersions(), []);
});
