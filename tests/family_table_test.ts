import { openBackend } from "@lopper/backends";
import { openTinyEngine, withReusedGraphs } from "@lopper/backends/testing";
import { FAMILIES, WRAPPERS } from "@lopper/models";
import assert from "node:assert/strict";
import { familyTable, PAGE, tableOf } from "../scripts/family_table.ts";
import { checkFamily, COLUMNS, type FamilyRow, fixturesByFamily } from "./support/family_checks.ts";

/** Fixtures of what some models of a family have, and the one of the table has not. */
const VARIANTS = [
  "gpt_oss-mxfp4",
  "ministral3-long",
  "stablelm-qk-norm",
  "stablelm-qk-norm-sequential",
];

const backends = {
  // As users have it, since exports run there, too.
  cpu: withReusedGraphs((await openBackend("cpu", { threads: 1 })).backend),
  wasm: await openTinyEngine("wasm"),
};

Deno.test({
  name:
    "families: each is what the table says of it, by logits on both engines, pruned, cached, exported",
  // The engines keep their threads for the life of the process.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const fixtures = await fixturesByFamily();
    const types = [...FAMILIES, ...WRAPPERS].map(({ modelType }) => modelType);
    assert.deepEqual([...fixtures.keys()].sort(), types.toSorted(), "a fixture for each family");
    const rows = new Map<string, FamilyRow>();
    for (const [type, fixture] of fixtures) {
      rows.set(type, await checkFamily(fixture, backends));
    }
    assert.equal(
      familyTable(rows),
      tableOf(await Deno.readTextFile(PAGE)),
      "docs/families.md is not what was found: deno task families:table writes it anew",
    );
  },
});

Deno.test({
  name: "families: what some models of a family have is computed, pruned, cached and exported, too",
  // The engines keep their threads for the life of the process.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    for (const fixture of VARIANTS) {
      const row = await checkFamily(fixture, backends);
      const refused = COLUMNS.filter((column) => "refused" in row[column]);
      assert.ok(refused.every((column) => /GGUF|DeciLM/.test(column)), `${fixture}: ${refused}`);
    }
  },
});
