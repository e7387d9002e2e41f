/**
 * The card of a result, read by the hub's own library (huggingface_hub): its metadata are a
 * model's, with scores, and are the same when the library writes them again.
 *
 * Needs Python with scripts/oracles/requirements.txt: in .venv, or named by LOPPER_PYTHON.
 */
import { modelCard } from "@lopper/card";
import { CARD_FACTS, CARD_SCORES } from "@lopper/card/testing";
import assert from "node:assert/strict";
import { pythonWith, runPython } from "../support/python.ts";

const SCRIPT = new URL("read_card.py", import.meta.url);
const python = await pythonWith("huggingface_hub", "reading cards with the hub's library");

interface Answer {
  readonly data: Readonly<Record<string, unknown>>;
  readonly again: Readonly<Record<string, unknown>>;
  readonly results: readonly Readonly<Record<string, unknown>>[];
}

Deno.test({
  name: "card: the hub's library reads its metadata, scores included",
  ignore: python === null,
  async fn() {
    const { source } = CARD_FACTS;
    const metadata = { ...source.metadata!, language: ["en", "no"] };
    const titles = ["SmolLM2-135M", "---\nlicense: mit\n---", "a: b | `c` <d> #e"];
    for (const title of titles) {
      const facts = { ...CARD_FACTS, source: { ...source, title, metadata }, scores: CARD_SCORES };
      const card = await modelCard(facts);
      const answer = await runPython(python!, SCRIPT, [], { card }) as Answer;
      const { data, again, results } = answer;
      assert.deepEqual(again, data);
      assert.equal(data.license, "apache-2.0");
      assert.deepEqual(data.language, ["en", "no"]);
      assert.equal(data.base_model, source.id);
      assert.equal(data.base_model_relation, "finetune");
      assert.equal(data.library_name, "transformers");
      assert.equal(data.pipeline_tag, "text-generation");
      assert.deepEqual(results.map((result) => [result.dataset_type, result.metric_value]), [
        ["baber/piqa", 0.6012],
      ]);
    }
  },
});
