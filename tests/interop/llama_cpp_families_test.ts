/**
 * llama.cpp computes of every family that it knows what transformers does, from the files that
 * `lopper export --to gguf` writes: the models of fixtures/gguf/families, in float32.
 *
 * Needs node-llama-cpp (tests/support/llama_cpp.ts says how it is found).
 */
import { compareLogits, exportGguf } from "@lopper/exports";
import { FileSink, FileSource } from "@lopper/files";
import { openGgufModel } from "@lopper/models";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { float32Of } from "../support/by_lopper.ts";
import { inTemporaryFolder } from "../support/cli.ts";
import { readWithLlamaCpp } from "../support/llama_cpp.ts";
import { normalised } from "../support/normalised.ts";
import { withTokenizer } from "../support/with_tokenizer.ts";

const FIXTURES = fileURLToPath(new URL("../fixtures/gguf/families", import.meta.url));
/**
 * Largest difference of a log-probability; llama.cpp looks its approximation of GELU up in a table
 * of float16.
 */
const ALLOWED = 1e-4, ALLOWED_BY_TABLE = 2e-2;

interface Expected {
  readonly cases: readonly {
    readonly input_ids: readonly (readonly number[])[];
    readonly logits: string;
  }[];
}

for (const { name: file } of Deno.readDirSync(FIXTURES)) {
  if (!file.endsWith(".gguf")) continue;
  Deno.test({
    name: `llama.cpp: ${file}, exported again, is what transformers computes`,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () =>
      inTemporaryFolder(async (folder) => {
        const model = await openGgufModel(await FileSource.open(`${FIXTURES}/${file}`));
        const open = (name: string) => FileSink.open(`${folder}/${name}`);
        const named = { ...model, folder: withTokenizer(model) };
        const written = await exportGguf(named, open, { title: "tiny", precision: "fp32" });
        const expected: Expected = JSON.parse(
          await Deno.readTextFile(`${FIXTURES}/${file.replace(/gguf$/, "json")}`),
        );
        const { vocabSize, blocks } = model.architecture;
        const byTable = blocks.some(({ activation }) => activation?.startsWith("gelu"));
        const allowed = byTable ? ALLOWED_BY_TABLE : ALLOWED;
        for (const { input_ids: [ids], logits } of expected.cases) {
          const answer = await readWithLlamaCpp(`${folder}/${written.files[0]}`, {
            ...{ texts: [], ids, positions: ids.length, newTokens: 0 },
          });
          if (!answer) return;
          assert.equal(answer.architecture, written.architecture);
          const wanted = float32Of(logits).subarray(0, ids.length * vocabSize);
          const found = new Float32Array(wanted.length);
          answer.distributions.forEach((probabilities, place) =>
            probabilities.forEach((p, id) => found[place * vocabSize + id] = Math.log(p))
          );
          const difference = compareLogits(normalised(wanted, vocabSize), found, vocabSize);
          console.log(`${file}, ${ids.length} tokens: ${JSON.stringify(difference)}`);
          assert.ok(difference.maxAbs <= allowed, `off by ${difference.maxAbs}`);
        }
        model[Symbol.dispose]();
      }),
  });
}
