import { LopperError, UnsupportedModelError } from "@lopper/core";
import { exportOnnx } from "@lopper/exports";
import { FileFolder } from "@lopper/files";
import { MemoryFolder } from "@lopper/formats";
import { bytesChanged } from "@lopper/formats/testing";
import { type Model, modelDigest, openModel } from "@lopper/models";
import { maxAbsDifference } from "@lopper/backends/testing";
import assert from "node:assert/strict";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { ModelProtoSchema } from "onnx-buf";
import { FIXTURES, fixturesByFamily } from "./support/family_checks.ts";
import { heterogeneousPlan, MemoryOutput, prunedInMemory } from "./support/heterogeneous.ts";

const GRAPH = "onnx/model.onnx";
const MUTATIONS = 1000;
/** Of what graphs are read that others wrote, as docs/models.md lists them. */
const READ = new Set([
  ...["baichuan", "exaone4", "granite", "granitemoehybrid", "hunyuan_v1_dense", "llama"],
  ...["ministral3", "mistral", "olmo2", "phi3", "qwen2", "qwen3", "seed_oss", "smollm3"],
]);

const fixture = (name: string) => openModel(new FileFolder(`${FIXTURES}/${name}`));

async function exported(model: Model): Promise<Readonly<Record<string, Uint8Array>>> {
  const output = new MemoryOutput();
  await exportOnnx(model, output.open);
  return output.files;
}

const opened = (files: Readonly<Record<string, Uint8Array | string>>) =>
  openModel(new MemoryFolder("m", files));

/** A graph without the places of its weights. */
function withoutPlaces(graph: Uint8Array): Uint8Array {
  const model = fromBinary(ModelProtoSchema, graph);
  for (const tensor of model.graph!.initializer) tensor.externalData = [];
  return toBinary(ModelProtoSchema, model);
}

/** The same files, as another program would have written them. */
function byAnother(files: Readonly<Record<string, Uint8Array>>): typeof files {
  const model = fromBinary(ModelProtoSchema, files[GRAPH]);
  model.producerName = "pytorch";
  return { ...files, [GRAPH]: toBinary(ModelProtoSchema, model) };
}

Deno.test("ONNX: of each family a graph that another program wrote is read, or one sentence says what is to be opened instead", async () => {
  const refused: string[] = [];
  for (const [type, name] of await fixturesByFamily()) {
    using source = await fixture(name);
    const files = byAnother(await exported(source));
    const { family } = source.architecture;
    try {
      using model = await opened(files);
      assert.deepEqual(model.architecture, source.architecture, type);
      assert.ok(READ.has(family), type);
    } catch (error) {
      if (!(error instanceof UnsupportedModelError)) throw error;
      refused.push(family);
      assert.match(
        error.message,
        new RegExp(
          `^m/${GRAPH}: ${family} has [^;]+, of which Lopper reads no graphs but its own; ` +
            "open the model's safetensors, or a GGUF file of it$",
        ),
      );
    }
  }
  assert.deepEqual(refused.filter((family) => READ.has(family)), []);
  assert.ok(refused.length > 20);
});

Deno.test("ONNX: a graph of Lopper's own is the model that it was made of, whatever the family", async () => {
  for (const name of [...Deno.readDirSync(FIXTURES)].map(({ name }) => name).sort()) {
    using source = await fixture(name);
    const pruned = await prunedInMemory(source, heterogeneousPlan(source.architecture));
    for (const model of [source, pruned]) {
      using again = await opened(await exported(model));
      assert.deepEqual(again.architecture, model.architecture, name);
      // A head whose rows are used at length 1 is stored as it is used.
      if (model.architecture.scaling?.unitHead) continue;
      for (const { tensor } of model.weights) {
        assert.deepEqual(
          await again.store.readFloat32(tensor.name),
          await model.store.readFloat32(tensor.name),
          `${tensor.name} of ${name}`,
        );
      }
      if (model.weights.every(({ tensor }) => tensor.dtype === "F32")) {
        assert.equal(await modelDigest(again), await modelDigest(model), name);
      }
    }
  }
});

Deno.test("ONNX: matrices that an export has in float16 are so when it is opened again", async () => {
  for (const name of ["gemma2", "qwen3_moe"]) {
    using source = await fixture(name);
    const output = new MemoryOutput();
    await exportOnnx(source, output.open, { precision: "fp16" });
    using again = await openModel(output.folder("m"));
    assert.deepEqual(again.architecture, source.architecture);
    for (const { tensor: { name, shape, dtype } } of again.weights) {
      assert.equal(dtype, shape.length > 1 ? "F16" : "F32", name);
      const [values, before] = [again, source].map(({ store }) => store.readFloat32(name));
      assert.ok(maxAbsDifference(await values, await before) < 1e-3, name);
    }
  }
});

Deno.test("ONNX: a graph of Lopper's own with any other byte is the same model, or one sentence", async () => {
  for (const name of ["gemma2", "gpt_oss"]) {
    using source = await fixture(name);
    const pruned = await prunedInMemory(source, heterogeneousPlan(source.architecture));
    const files = await exported(pruned);
    const position = fc.nat(files[GRAPH].length - 1);
    let same = 0;
    await fc.assert(
      fc.asyncProperty(fc.oneof(...bytesChanged(position)), async (change) => {
        const changed = change(files[GRAPH]);
        try {
          using model = await opened({ ...files, [GRAPH]: changed });
          assert.deepEqual(model.architecture, pruned.architecture);
          assert.deepEqual(withoutPlaces(changed), withoutPlaces(files[GRAPH]));
          same += 1;
        } catch (error) {
          if (!(error instanceof LopperError)) throw error;
          assert.match(error.message, /^m[^\n]{10,600}$/);
        }
      }),
      { numRuns: MUTATIONS },
    );
    assert.ok(same < MUTATIONS / 2, `${same} of ${name} were the same`);
  }
});

Deno.test("ONNX: what config.json and graph say of each other is compared, and named", async () => {
  using source = await fixture("gemma2");
  const files = await exported(source);
  const config = JSON.parse(new TextDecoder().decode(files["config.json"]));
  const refuses = (change: Record<string, unknown>, message: RegExp) =>
    assert.rejects(
      opened({ ...files, "config.json": JSON.stringify({ ...config, ...change }) }),
      (error) => {
        assert.ok(error instanceof LopperError, String(error));
        assert.match(error.message, message);
        return true;
      },
    );
  const node = /^m\/onnx\/model\.onnx: (node "\w+"|something beside its nodes) is not as Lopper/;
  await refuses({ attn_logit_softcapping: 20 }, node);
  await refuses({ final_logit_softcapping: 20 }, node);
  await refuses({ query_pre_attn_scalar: 9 }, node);
  await refuses({ sliding_window: 3 }, node);
  await refuses({ rms_norm_eps: 0.25 }, node);
  await refuses({ tie_word_embeddings: false }, /lm_head\.weight": the tensor is missing/);
  await refuses(
    { vocab_size: config.vocab_size + 1 },
    /its shape is \[.*\] and its config needs \[/,
  );
});

Deno.test("ONNX: a config of more experts than the graph has tensors is refused before any is made", async () => {
  using source = await fixture("qwen3_moe");
  const files = await exported(source);
  const config = JSON.parse(new TextDecoder().decode(files["config.json"]));
  const many = { ...config, num_experts: 2 ** 30 };
  await assert.rejects(
    opened({ ...files, "config.json": JSON.stringify(many) }),
    /its config has 1073741824 experts in 0\.experts, and the graph has \d+ tensors in all/,
  );
});
