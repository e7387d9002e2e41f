/**
 * llama.cpp computes of every family that it knows what transformers does, from the files that
 * `lopper export --to gguf` writes: the models of fixtures/gguf/families, in float32. And of pruned
 * models of all families that are written, layers alike or not, it computes what Lopper does.
 *
 * Needs node-llama-cpp (tests/support/llama_cpp.ts says how it is found).
 */
import { ExportError, type PrunePlan } from "@lopper/core";
import { compareLogits, exportGguf } from "@lopper/exports";
import { FileFolder, FileSink, FileSource } from "@lopper/files";
import { type Model, openGgufModel, openModel } from "@lopper/models";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { byLopper, float32Of } from "../support/by_lopper.ts";
import { inTemporaryFolder } from "../support/cli.ts";
import { FIXTURES as FAMILIES, fixturesByFamily, halved } from "../support/family_checks.ts";
import { heterogeneousPlan, prunedInMemory } from "../support/heterogeneous.ts";
import { readWithLlamaCpp } from "../support/llama_cpp.ts";
import { normalised } from "../support/normalised.ts";
import { planOfShape } from "../support/plan_of_shape.ts";
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

/** What llama.cpp computes of a file: log-probabilities of the next token behind each. */
async function byLlamaCpp(path: string, ids: readonly number[], vocabSize: number) {
  const answer = await readWithLlamaCpp(path, {
    ...{ texts: [], ids, positions: ids.length, newTokens: 0 },
  });
  if (!answer) return null;
  const found = new Float32Array(ids.length * vocabSize);
  answer.distributions.forEach((probabilities, place) =>
    probabilities.forEach((p, id) => found[place * vocabSize + id] = Math.log(p))
  );
  return { found, architecture: answer.architecture };
}

function allowedFor({ architecture: { blocks } }: Model): number {
  const byTable = blocks.some(({ activation }) => activation?.startsWith("gelu"));
  return byTable ? ALLOWED_BY_TABLE : ALLOWED;
}

/** What a plan leaves of a model. */
type Leaves = (source: Model) => PrunePlan;

const HALF: Leaves = (source) => planOfShape(source.architecture, halved(source, false));
const SHAPES: Readonly<Record<string, Leaves>> = {
  "layers alike": HALF,
  "layers differ": (source) => planOfShape(source.architecture, halved(source, true)),
  // The first attention is gone, without which llama.cpp opens few architectures.
  "hardly two alike": ({ architecture }) => heterogeneousPlan(architecture),
};

/** A part of a model as llama.cpp and as Lopper compute it. */
async function checkPart(source: Model, leaves: Leaves, folder: string, what: string) {
  using model = await prunedInMemory(source, leaves(source));
  const named = { ...model, folder: withTokenizer(model) };
  const open = (name: string) => FileSink.open(`${folder}/${name}`);
  const written = await exportGguf(named, open, { title: "tiny", precision: "fp32" })
    .catch((error) => {
      if (error instanceof ExportError) return null;
      throw error;
    });
  if (!written) return;
  const { vocabSize } = model.architecture;
  // Longer than LongRoPE's original positions here: llama.cpp takes the long factors for all texts.
  const ids = Array.from({ length: 12 }, (_, i) => (7 + 5 * i * i) % vocabSize);
  const answer = await byLlamaCpp(`${folder}/${written.files[0]}`, ids, vocabSize);
  if (!answer) return;
  assert.equal(answer.architecture, written.architecture);
  const { logits } = await byLopper(model, ids, [ids], 0);
  const difference = compareLogits(normalised(logits, vocabSize), answer.found, vocabSize);
  console.log(`${what}, ${written.architecture}: ${JSON.stringify(difference)}`);
  assert.ok(difference.maxAbs <= allowedFor(model), `off by ${difference.maxAbs}`);
}

/** Families whose pruned models are written, each as docs/families.md says. */
for (const [family, fixture] of await fixturesByFamily()) {
  for (const [shape, leaves] of Object.entries(SHAPES)) {
    Deno.test({
      name: `llama.cpp: ${family}, pruned, ${shape}`,
      sanitizeOps: false,
      sanitizeResources: false,
      fn: () =>
        inTemporaryFolder(async (folder) => {
          using source = await openModel(new FileFolder(`${FAMILIES}/${fixture}`));
          await checkPart(source, leaves, folder, family);
        }),
    });
  }
}

/** The same of models with settings as they are published. */
for (const { name: file } of Deno.readDirSync(FIXTURES)) {
  if (!file.endsWith(".gguf")) continue;
  Deno.test({
    name: `llama.cpp: ${file}, pruned, layers alike`,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () =>
      inTemporaryFolder(async (folder) => {
        using source = await openGgufModel(await FileSource.open(`${FIXTURES}/${file}`));
        await checkPart(source, HALF, folder, file);
      }),
  });
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
        const { vocabSize } = model.architecture;
        const allowed = allowedFor(model);
        for (const { input_ids: [ids], logits } of expected.cases) {
          const answer = await byLlamaCpp(`${folder}/${written.files[0]}`, ids, vocabSize);
          if (!answer) return;
          assert.equal(answer.architecture, written.architecture);
          const wanted = float32Of(logits).subarray(0, ids.length * vocabSize);
          const difference = compareLogits(normalised(wanted, vocabSize), answer.found, vocabSize);
          console.log(`${file}, ${ids.length} tokens: ${JSON.stringify(difference)}`);
          assert.ok(difference.maxAbs <= allowed, `off by ${difference.maxAbs}`);
        }
        model[Symbol.dispose]();
      }),
  });
}
