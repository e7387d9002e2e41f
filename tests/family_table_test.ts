import { openBackend } from "@lopper/backends";
import { FAMILIES, WRAPPERS } from "@lopper/models";
import assert from "node:assert/strict";
import { familyTable, PAGE, tableOf } from "../scripts/family_table.ts";
import { checkFamily, type FamilyRow, fixturesByFamily } from "./support/family_checks.ts";

Deno.test({
  name:
    "families: each is what the table says of it, by logits on both engines, pruned, cached, exported",
  // The engines keep their threads for the life of the process.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const { backend: cpu } = await openBackend("cpu", { threads: 1 });
    const { backend: wasm } = await openBackend("wasm", { threads: 1 });
    const fixtures = await fixturesByFamily();
    const types = [...FAMILIES, ...WRAPPERS].map(({ modelType }) => modelType);
    assert.deepEqual([...fixtures.keys()].sort(), types.toSorted(), "a fixture for each family");
    const rows = new Map<string, FamilyRow>();
    for (const [type, fixture] of fixtures) {
      rows.set(type, await checkFamily(fixture, { cpu, wasm }));
    }
    assert.equal(
      familyTable(rows),
      tableOf(await Deno.readTextFile(PAGE)),
      "docs/families.md is not what was found: deno task families:table writes it anew",
    );
  },
});
