/**
 * A model of every family without an attention and without an MLP, or a mixture of experts, is
 * written, opened again, and computes what transformers' own layers do when these blocks add
 * nothing (scripts/oracles/make_missing_blocks.py).
 */
import { maxAbsDifference, openTinyEngine } from "@lopper/backends/testing";
import { type Block, denseShape } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { FAMILIES, openModel, WRAPPERS } from "@lopper/models";
import { Decoder, LaidOutWeights, sequenceLogits } from "@lopper/runtime";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { float32Of } from "./support/by_lopper.ts";
import { FIXTURES, fixturesByFamily } from "./support/family_checks.ts";
import { prunedInMemory } from "./support/heterogeneous.ts";
import { planOfShape } from "./support/plan_of_shape.ts";

const EXPECTED = fileURLToPath(new URL("fixtures/missing_blocks", import.meta.url));
/** As of the fixtures themselves: the same products, added in another order. */
const TOLERANCE = 1e-4;

interface Gone {
  readonly layer: number;
  readonly block: "attention" | "mlp";
}

interface Expected {
  readonly fixture: string;
  readonly cases: readonly {
    readonly missing: readonly Gone[];
    readonly input_ids: readonly (readonly number[])[];
    /** Little-endian float32, `[B, T, V]`, in base64. */
    readonly logits: string;
  }[];
}

function isGone({ layer, attention }: Block, missing: readonly Gone[]): boolean {
  const block = attention ? "attention" : "mlp";
  return missing.some((gone) => gone.layer === layer && gone.block === block);
}

const fixtures = await fixturesByFamily();

Deno.test("every family that is read has expected values without some of its blocks", () => {
  const read = [...FAMILIES, ...WRAPPERS].map(({ modelType }) => modelType).sort();
  assert.deepEqual([...fixtures.keys()].sort(), read);
  const files = [...Deno.readDirSync(EXPECTED)].map(({ name }) => name.replace(".json", ""));
  assert.deepEqual(files.sort(), read);
});

for (const [family, fixture] of fixtures) {
  Deno.test({
    name: `${family} without an attention and an MLP is what transformers computes`,
    // The engine keeps its threads for the life of the process.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const expected: Expected = JSON.parse(await Deno.readTextFile(`${EXPECTED}/${family}.json`));
      assert.equal(expected.fixture, fixture);
      using source = await openModel(new FileFolder(`${FIXTURES}/${fixture}`));
      const { architecture } = source;
      await using backend = await openTinyEngine("cpu");
      for (const { missing, input_ids, logits } of expected.cases) {
        const dense = denseShape(architecture.blocks);
        const stays = architecture.blocks.map((block) => !isGone(block, missing));
        const shape = dense.map((size, number) => stays[number] ? size : null);
        using written = await prunedInMemory(source, planOfShape(architecture, shape));
        const blocks = architecture.blocks.filter((_, number) => stays[number]);
        assert.equal(blocks.length, architecture.blocks.length - missing.length);
        assert.deepEqual(written.architecture.blocks, blocks);
        await using decoder = new Decoder(backend, await LaidOutWeights.load(written));
        const found = await sequenceLogits(decoder, input_ids);
        const difference = maxAbsDifference(found, float32Of(logits));
        assert.ok(difference <= TOLERANCE, `${JSON.stringify(missing)}: off by ${difference}`);
      }
    },
  });
}
