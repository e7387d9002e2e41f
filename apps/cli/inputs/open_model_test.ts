import { CheckpointFormatError } from "@lopper/core";
import assert from "node:assert/strict";
import { openUserModel } from "./open_model.ts";

Deno.test("models: a name of the hub that is no folder here says how to get it", async () => {
  const says = (path: string, message: RegExp) =>
    assert.rejects(openUserModel(path, () => {}), (error) => {
      assert.ok(error instanceof CheckpointFormatError, String(error));
      assert.match(error.message, message);
      return true;
    });
  await says(
    "nobody/no-model",
    /no such folder; .*\(hf download nobody\/no-model --local-dir DIR\)/,
  );
  await says("/nobody/no-model", /no such folder$/);
  await says("./nobody", /no such folder$/);
});
