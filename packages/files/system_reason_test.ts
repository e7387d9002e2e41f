import { INPUTS, ReadError } from "@lopper/core";
import { FileSource } from "./file_source.ts";
import { isMissing, reading, systemReason } from "./system_reason.ts";
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** What a call ends in. */
const errorOf = (call: () => Promise<unknown>) =>
  call().then(() => assert.fail("nothing was wrong"), (error: unknown) => error);

Deno.test("system errors: each is told in words with its paths, and without the system's number", async () => {
  const folder = await Deno.makeTempDir({ prefix: "lopper-test-" });
  const at = (name: string) => join(folder, name);
  try {
    await Deno.writeTextFile(at("it's"), "");
    await Deno.symlink(at("b"), at("a"));
    await Deno.symlink(at("a"), at("b"));
    await Deno.mkdir(at("full/one"), { recursive: true });
    const cases: [() => Promise<unknown>, paths: string, reason: RegExp][] = [
      [() => Deno.stat(at("a")), at("a"), /circle/],
      [() => Deno.stat(at("x".repeat(300))), at("x".repeat(300)), /longer than/],
      [() => Deno.stat(at("it's/x")), at("it's/x"), /a part of this path is a file/],
      [() => Deno.rename(at("it's"), at("no/x")), `${at("it's")} -> ${at("no/x")}`, /no such/],
      [() => Deno.remove(at("full")), at("full"), /not empty/],
      [() => Deno.open(folder, { write: true }), folder, /it is a folder/],
      [() => readFile(at("none")), at("none"), /no such/],
    ];
    for (const [call, paths, reason] of cases) {
      const found = systemReason(await errorOf(call))!;
      assert.equal(found.paths, paths);
      assert.match(found.reason, reason);
      assert.doesNotMatch(found.reason, /os error|E[A-Z]{3}/);
    }
    assert.equal(systemReason(new TypeError("x")), null);
    const refused = new Deno.errors.NotCapable('Requires read access to "a", run again with x');
    assert.equal(systemReason(refused)?.reason, 'Requires read access to "a"');
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("system errors: reading a file names it, whatever the system says of it", async () => {
  const name = "x".repeat(300);
  const error = await errorOf(() => FileSource.open(`/tmp/${name}`, INPUTS.calibration));
  assert.ok(error instanceof ReadError);
  assert.equal(
    error.message,
    `/tmp/${name} cannot be read: the name is longer than the system takes`,
  );
  // The system names no file where one that is open cannot be read.
  const pathless = Object.assign(new Error("Input/output error (os error 5)"), { code: "EIO" });
  const read = await errorOf(() => reading("/m/a", () => Promise.reject(pathless)));
  assert.equal((read as Error).message, "/m/a cannot be read: the disk reports an error");
  const missing = await errorOf(() => FileSource.open("/nonexistent/x"));
  assert.ok(isMissing(missing), "whoever asks may do without it");
});
