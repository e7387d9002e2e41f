import { tinyArchitecture } from "@lopper/search/testing";
import { BOOKS, calibrationOf, MIX, type RunFlags } from "@lopper/run";
import assert from "node:assert/strict";
import { resolveFlags } from "./resolve_flags.ts";

const ARCHITECTURE = tinyArchitecture(1);
const textsOf = (flags: RunFlags) => calibrationOf(flags).map(({ path }) => path);

Deno.test("calibration: a model that somebody brings gets several kinds of text, the embedded one books", () => {
  const ofModel = (source: string | null) => resolveFlags({}, source, ARCHITECTURE, undefined);
  assert.deepEqual(textsOf(ofModel("model")), [MIX]);
  assert.deepEqual(textsOf(ofModel(null)), [BOOKS]);
  const own = [{ path: "/a.txt", weight: 1 }];
  const given = resolveFlags({ calibration: own }, "model", ARCHITECTURE, undefined);
  assert.deepEqual(textsOf(given), ["/a.txt"]);
});

Deno.test("held-out text: of several kinds for a model that somebody brings, and a run goes on with its own", () => {
  const ofModel = (source: string | null, saved?: RunFlags, heldOut?: string) =>
    resolveFlags({ heldOut }, source, ARCHITECTURE, saved);
  assert.equal(ofModel("model").heldOut, MIX);
  assert.equal(ofModel(null).heldOut, null);
  assert.equal(ofModel("model", undefined, "/a.txt").heldOut, "/a.txt");
  const before = { ...ofModel("model"), heldOut: null };
  assert.equal(ofModel("model", before).heldOut, null);
});

Deno.test("calibration: a run of before there was a mix goes on with books", () => {
  const before = resolveFlags({}, "model", ARCHITECTURE, undefined);
  const saved = { ...before, calibration: null };
  assert.deepEqual(textsOf(resolveFlags({}, "model", ARCHITECTURE, saved)), [BOOKS]);
  assert.deepEqual(textsOf(resolveFlags({}, "model", ARCHITECTURE, before)), [MIX]);
});
