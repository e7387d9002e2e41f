/**
 * transformers (PyTorch) opens the folder of a run as it is, of all families and in all shapes that
 * a run leaves: the same logits, the same greedy text with and without its cache and behind
 * padding. So it does what `lopper export --to safetensors` writes; and of what `--to gguf` writes
 * that which it has an architecture for.
 *
 * Needs Python with scripts/oracles/requirements.txt: in .venv, or named by LOPPER_PYTHON.
 */
import {
  allKept,
  type Architecture,
  type Block,
  countParameters,
  densePlan,
  type KeptUnits,
  planOfKept,
  type PrunePlan,
} from "@lopper/core";
import { compareLogits, type LogitDifference } from "@lopper/exports";
import { FileFolder, FileSink } from "@lopper/files";
import {
  FAMILIES,
  layersOfBlocks,
  type Model,
  modelDigest,
  openModel,
  WRAPPERS,
  writePrunedModel,
} from "@lopper/models";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { byLopper, float32Of } from "../support/by_lopper.ts";
import { inTemporaryFolder } from "../support/cli.ts";
import { heterogeneousPlan, uniformPlan } from "../support/heterogeneous.ts";
import {
  figures,
  isQuantised,
  record,
  RESULT,
  SUBJECTS,
  TRANSFORMERS_KNOWS_NO_DECI,
} from "../support/interop_results.ts";
import { pythonWith, runPython } from "../support/python.ts";
import { exportedSubject, writtenSubject } from "../support/subject.ts";

const FIXTURES = fileURLToPath(new URL("../fixtures/families", import.meta.url));
const SCRIPT = new URL("read_with_transformers.py", import.meta.url);
const NEW_TOKENS = 8;
const TOLERANCE = 1e-3;
/** Of the tiny models, whose sums are short. */
const TINY_TOLERANCE = 1e-4;

interface Answer {
  readonly versions: { readonly torch: string; readonly transformers: string };
  readonly class: string;
  readonly loading: Readonly<Record<string, readonly string[]>>;
  readonly parameters: number;
  readonly layers: readonly (readonly (number | false)[])[];
  readonly logits: string;
  readonly greedy: readonly number[];
  readonly uncached: readonly number[];
  readonly behind_padding: readonly number[];
}

/** What transformers is to compute from a folder. */
interface Question {
  readonly model: Model;
  readonly folder: string;
  readonly ids: readonly number[];
  readonly more?: Readonly<Record<string, unknown>>;
}

function requestOf({ model, folder, ids, more }: Question) {
  // torch multiplies rows of experts in one go only where they fill units of 16 bytes.
  const isAligned = layersOfBlocks(model.architecture).every(({ mlp }) =>
    !mlp?.experts || mlp.intermediateSize % 4 === 0
  );
  return {
    ...{ folder, ids, new_tokens: NEW_TOKENS, pad: 3 },
    ...(!isAligned && { experts: "eager" }),
    ...more,
  };
}

/**
 * What transformers computes from `folder`, or a GGUF file in it, beside what Lopper computes from
 * `model`; asserts that it has opened all of it, and nothing else.
 */
async function compared(
  model: Model,
  folder: string,
  ids: readonly number[],
  ggufFile: readonly string[] = [],
  more: Readonly<Record<string, unknown>> = {},
) {
  const question = { model, folder, ids, more };
  const args = [folder, ...ggufFile];
  const answer = await runPython(python!, SCRIPT, args, requestOf(question)) as Answer;
  return await besideOwn(question, answer);
}

async function besideOwn({ model, ids }: Question, answer: Answer) {
  const { architecture } = model;
  assert.deepEqual(Object.values(answer.loading).flat(), [], "nothing missing, nothing left over");
  assert.equal(answer.parameters, countParameters(architecture).total);
  assert.deepEqual(answer.layers, sizesOfLayers(architecture));
  const own = await byLopper(model, ids, [ids], NEW_TOKENS);
  const difference = compareLogits(own.logits, float32Of(answer.logits), architecture.vocabSize);
  return { answer, difference, greedy: own.greedy[0] };
}

/** Query channels, MLP channels, and of a mixture its experts and how many a token goes to. */
function sizesOfLayers(architecture: Architecture) {
  return layersOfBlocks(architecture).map(({ attention, mlp }, layer) => {
    const mixture = architecture.blocks.find((block) => block.layer === layer && block.routing);
    return [
      attention ? attention.queryHeads * architecture.headDim : false,
      mlp ? mlp.intermediateSize : false,
      ...(mixture ? [mlp!.experts!, mixture.routing!.topK] : []),
    ];
  });
}

/** The same logits, but for rounding, and the same text. */
function agrees(
  answer: Answer,
  { maxAbs }: LogitDifference,
  greedy: readonly number[],
  { of, tolerance } = { of: answer.class, tolerance: TOLERANCE },
) {
  assert.ok(maxAbs <= tolerance, `${of}: logits off by ${maxAbs}`);
  assert.deepEqual(answer.greedy, greedy, of);
  assert.deepEqual(answer.uncached, greedy);
  assert.deepEqual(answer.behind_padding, greedy);
}

const saw = (answer: Answer) =>
  `${answer.class}, ${answer.layers.length} layers, ${answer.parameters} parameters`;

const python = await pythonWith("transformers", "reading exports with transformers");

function test(name: string, fn: () => Promise<void>) {
  if (!python) return;
  Deno.test({ name: `transformers: ${name}`, sanitizeOps: false, sanitizeResources: false, fn });
}

/** What may become of the layers of a model. */
interface Become {
  /** How each differs from a dense one. */
  readonly plan: (dense: Architecture) => PrunePlan;
  /** Whether that needs code. */
  readonly code: boolean | ((dense: Architecture) => boolean);
}

function needsCode({ code }: Become, dense: Architecture): boolean {
  return typeof code === "boolean" ? code : code(dense);
}

const SHAPES: Readonly<Record<string, Become>> = {
  "as it was": { plan: (dense) => densePlan(dense, ""), code: false },
  "layers alike and narrower": { plan: (dense) => uniformPlan(dense, 1, 16), code: false },
  "whole layers gone": { plan: keeping((all, { layer }) => layer === 0 ? null : all), code: false },
  // transformers would fill these with random numbers
  "blocks gone, and no width another": {
    plan: keeping((all, { layer, attention }) => layer === 0 && !attention ? null : all),
    code: true,
  },
  "KV groups of one layer gone": {
    plan: keeping((all, { layer, attention }) =>
      layer === 0 && attention && all.kvGroups.length > 1 ? { kvGroups: [1] } : all
    ),
    code: ({ blocks: [{ dimensions: [{ units }] }] }) => units > 1,
  },
  "hardly two alike": { plan: (dense) => heterogeneousPlan(dense), code: true },
};
/** And of those that are mixtures of experts: groups of these have four in the tiny models. */
const MIXTURE_SHAPES: Readonly<Record<string, Become>> = {
  ...SHAPES,
  "as many experts gone in all layers": {
    plan: keepingExperts((expert) => expert % 4 > 0),
    code: false,
  },
  "other numbers of experts by layer": {
    plan: keepingExperts((expert, place) => expert % 4 > place % 2),
    code: hasSeveral,
  },
  "fewer experts than a token went to": {
    plan: keepingExperts((expert, place, { weights }) =>
      // transformers compares groups, of which there may be one, by their best two.
      place > 0 || (weights.some(({ name }) => name === "correction") ? expert % 4 > 1 : expert < 1)
    ),
    code: hasSeveral,
  },
};

function mixturesOf(blocks: readonly Block[]): readonly Block[] {
  return blocks.filter(({ routing }) => routing);
}

/** Where one mixture is among MLPs, it is like all others. */
function hasSeveral({ blocks }: Architecture): boolean {
  return mixturesOf(blocks).length > 1;
}

/** @param keep what stays of a block, of all that it has; null where it goes. */
function keeping(
  keep: (all: KeptUnits, block: Block, blocks: readonly Block[]) => KeptUnits | null,
) {
  return (dense: Architecture): PrunePlan => {
    const all = allKept(dense.blocks);
    const kept = dense.blocks.map((block, number) => keep(all[number]!, block, dense.blocks));
    return planOfKept(dense, kept, { modelDigest: "", removalOrder: [] });
  };
}

/** @param stays whether an expert does; by the place of its mixture among them. */
function keepingExperts(stays: (expert: number, place: number, mixture: Block) => boolean) {
  return keeping((all, block, blocks) => {
    if (!block.routing) return all;
    const place = mixturesOf(blocks).indexOf(block);
    return { experts: all.experts.filter((expert) => stays(expert, place, block)) };
  });
}

/** Writes what a plan leaves of a model as a run does. */
async function writtenBy(out: string, source: Model, plan: PrunePlan) {
  await Deno.mkdir(out);
  const written = await writePrunedModel(source, plan, (file) => FileSink.open(`${out}/${file}`));
  const model = await openModel(new FileFolder(out));
  const ids = Array.from({ length: 12 }, (_, i) => (7 * i + 5) % model.architecture.vocabSize);
  return { written, question: { model, folder: out, ids } };
}

/** The same, and has transformers open it. */
async function asWritten(
  folder: string,
  source: Model,
  plan: PrunePlan,
  more: Readonly<Record<string, unknown>> = {},
) {
  const out = `${folder}/run`;
  const { written, question } = await writtenBy(out, source, plan);
  using model = question.model;
  const { answer, difference, greedy } = await compared(model, out, question.ids, [], more);
  agrees(answer, difference, greedy);
  assert.equal(answer.class.startsWith("Lopper"), written.customCode, answer.class);
  return { out, written };
}

/** The fixture of each family that has more than one KV group. */
const SOURCES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(FAMILIES.map(({ modelType }) => [modelType, modelType])),
  llama: "llama-mha",
  mistral: "mistral-sliding",
  gemma: "gemma-bias",
};
/**
 * Fixtures of what some models of a family have, and the one above has not; of mixtures all are
 * taken.
 */
const VARIANTS: Readonly<Record<string, readonly string[]>> = {
  ministral3: ["ministral3-long"],
  stablelm: ["stablelm-qk-norm"],
};
const ALL_FIXTURES = [...Deno.readDirSync(FIXTURES)].map(({ name }) => name).sort();
const SHAPED = FAMILIES.flatMap(({ modelType, className, plainHeads, blocks }) => {
  // transformers has no such classes
  if (className === null) return [];
  const others = blocks.some(({ kind }) => kind === "experts")
    ? ALL_FIXTURES.filter((name) => name.startsWith(`${modelType}-`))
    : VARIANTS[modelType] ?? [];
  const fixtures = [SOURCES[modelType], ...others];
  return fixtures.map((fixture) => ({ modelType, fixture, plainHeads }));
});
for (const { modelType, fixture, plainHeads } of SHAPED) {
  const name = fixture === SOURCES[modelType] ? modelType : fixture;
  test(`${name}, in every shape that a run leaves`, () =>
    inTemporaryFolder(async (folder) => {
      using source = await openModel(new FileFolder(`${FIXTURES}/${fixture}`));
      const asked = [];
      const shapes = source.architecture.blocks.some(({ routing }) => routing)
        ? MIXTURE_SHAPES
        : SHAPES;
      for (const [shape, become] of Object.entries(shapes)) {
        const out = `${folder}/${shape.replaceAll(/\W/g, "_")}`;
        const plan = become.plan(source.architecture);
        const { written, question } = await writtenBy(out, source, plan);
        const headsLeft = shape === "layers alike and narrower" && plainHeads === "fill";
        const needed = needsCode(become, source.architecture);
        assert.equal(written.customCode, needed || headsLeft, shape);
        asked.push({ shape, written, question });
      }
      const requests = asked.map(({ question }) => requestOf(question));
      const answers = await runPython(python!, SCRIPT, [], requests) as readonly Answer[];
      for (const [i, { shape, written, question }] of asked.entries()) {
        using _ = question.model;
        const { answer, difference, greedy } = await besideOwn(question, answers[i]);
        agrees(answer, difference, greedy, { of: shape, tolerance: TINY_TOLERANCE });
        assert.equal(answer.class.startsWith("Lopper"), written.customCode, shape);
      }
    }));
}

for (const { modelType } of WRAPPERS) {
  test(`${modelType}, its text model in the whole where layers are alike, and else alone`, () =>
    inTemporaryFolder(async (folder) => {
      using source = await openModel(new FileFolder(`${FIXTURES}/${modelType}`));
      const asked = [];
      for (const [shape, become] of Object.entries(SHAPES)) {
        const out = `${folder}/${shape.replaceAll(/\W/g, "_")}`;
        const plan = become.plan(source.architecture);
        const { written, question } = await writtenBy(out, source, plan);
        const code = needsCode(become, source.architecture);
        assert.equal(written.customCode, code, shape);
        asked.push({ ...question, more: { images: !code } });
      }
      const answers = await runPython(
        python!,
        SCRIPT,
        [],
        asked.map(requestOf),
      ) as readonly Answer[];
      for (const [i, question] of asked.entries()) {
        using _ = question.model;
        const { answer, difference, greedy } = await besideOwn(question, answers[i]);
        agrees(answer, difference, greedy);
        assert.equal(/ForConditionalGeneration$/.test(answer.class), question.more.images);
      }
    }));
}

test("heads that do not divide the hidden size", () =>
  inTemporaryFolder(async (folder) => {
    using source = await openModel(new FileFolder(`${FIXTURES}/llama-odd-head`));
    await asWritten(folder, source, heterogeneousPlan(source.architecture));
  }));

/** A fixture's folder with another config. */
async function withConfig(
  folder: string,
  family: string,
  change: Readonly<Record<string, unknown>>,
) {
  const path = `${folder}/source`;
  await Deno.mkdir(path);
  for (const { name } of Deno.readDirSync(`${FIXTURES}/${family}`)) {
    await Deno.copyFile(`${FIXTURES}/${family}/${name}`, `${path}/${name}`);
  }
  const config = JSON.parse(await Deno.readTextFile(`${path}/config.json`));
  await Deno.writeTextFile(`${path}/config.json`, JSON.stringify({ ...config, ...change }));
  return await openModel(new FileFolder(path));
}

for (const types of [["full", "sliding"], ["sliding", "full"]]) {
  for (const family of ["qwen2", "qwen3"]) {
    test(`${family}, a window in some layers and the first attention gone, ${types}`, () =>
      inTemporaryFolder(async (folder) => {
        const windows = {
          use_sliding_window: true,
          sliding_window: 8,
          layer_types: types.map((type) => `${type}_attention`),
        };
        using source = await withConfig(folder, family, windows);
        assert.equal(source.architecture.layerCount, types.length);
        await asWritten(folder, source, heterogeneousPlan(source.architecture));
      }));
  }
}

test("a mixture that is asked how evenly experts are used, and whose layers have as many or do not", () =>
  inTemporaryFolder(async (folder) => {
    using source = await withConfig(folder, "mixtral", { output_router_logits: true });
    const plans = {
      alike: keeping((all, { layer, attention, routing }) => {
        if (routing) return { experts: all.experts.slice(1) };
        return layer === 0 && attention ? null : all;
      }),
      differing: MIXTURE_SHAPES["other numbers of experts by layer"].plan,
    };
    for (const [name, plan] of Object.entries(plans)) {
      await Deno.mkdir(`${folder}/${name}`);
      await asWritten(`${folder}/${name}`, source, plan(source.architecture));
    }
  }));

test("what it saves again is the same model, layers of their own included", () =>
  inTemporaryFolder(async (folder) => {
    // in float32, as the script opens them; of mixtures, one with a tensor for each expert, and one
    // with a tensor for all
    const families = ["llama-sharded", "qwen3", "mixtral", "granitemoe"];
    for (const [i, family] of families.entries()) {
      using source = await openModel(new FileFolder(`${FIXTURES}/${family}`));
      const save = `${folder}/${i}/saved`;
      const plan = heterogeneousPlan(source.architecture);
      await Deno.mkdir(`${folder}/${i}`);
      const { out } = await asWritten(`${folder}/${i}`, source, plan, { save });
      using written = await openModel(new FileFolder(out));
      using saved = await openModel(new FileFolder(save));
      assert.equal(await modelDigest(saved), await modelDigest(written));
    }
  }));

test("a folder whose code is not to run is not opened, rather than filled with random numbers", () =>
  inTemporaryFolder(async (folder) => {
    using source = await openModel(new FileFolder(`${FIXTURES}/llama-mha`));
    const plan = SHAPES["blocks gone, and no width another"].plan(source.architecture);
    const { out } = await asWritten(folder, source, plan);
    const request = { ids: [1, 2], new_tokens: 1, pad: 0, trust: false };
    const refused = () => runPython(python!, SCRIPT, [out], request);
    await assert.rejects(refused, /trust_remote_code/);
    for (const file of ["configuration_lopper.py", "modeling_lopper.py"]) {
      await Deno.remove(`${out}/${file}`);
    }
    await assert.rejects(() => runPython(python!, SCRIPT, [out], { ...request, trust: true }));
  }));

for (const subject of SUBJECTS) {
  const { model: name, shape } = subject;
  test(`${name}, ${shape}, as prune writes it`, () =>
    inTemporaryFolder(async (folder) => {
      const written = await writtenSubject(folder, subject);
      if (written === null) return;
      const { model, out, ids } = written;
      const { answer, difference, greedy } = await compared(model, out, ids);
      agrees(answer, difference, greedy);
      assert.equal(answer.class.startsWith("Lopper"), shape === "pruned", answer.class);
      await record({
        ...{ format: RESULT, weights: "fp16", reader: "transformers", ...subject },
        ...{ version: answer.versions.transformers, saw: saw(answer) },
        ...figures(difference),
        greedy: greedy.length,
      });
      model[Symbol.dispose]();
    }));
}

for (const subject of SUBJECTS) {
  const { model: name, shape } = subject;
  for (const weights of ["fp32", "fp16"]) {
    test(`${name}, ${shape}, safetensors, ${weights}`, () =>
      inTemporaryFolder(async (folder) => {
        const flags = ["--to", "safetensors", "--dtype", weights];
        const exported = await exportedSubject(folder, subject, flags);
        if (exported === null) return;
        const { model, out, ids } = exported;
        const { size } = await Deno.stat(`${out}/model.safetensors`);
        const bytes = countParameters(model.architecture).total * (weights === "fp32" ? 4 : 2);
        assert.ok(size > bytes && size < bytes + 50_000, `${size} bytes`);
        const { answer, difference, greedy } = await compared(model, out, ids);
        agrees(answer, difference, greedy);
        assert.equal(answer.class.startsWith("Lopper"), shape === "pruned", answer.class);
        await record({
          ...{ format: "safetensors", weights, reader: "transformers", ...subject },
          ...{ version: answer.versions.transformers, saw: saw(answer) },
          ...figures(difference),
          greedy: greedy.length,
        });
        model[Symbol.dispose]();
      }));
  }
}

const GGUF_WEIGHTS = [
  ["fp32", ["--dtype", "fp32"]],
  ["fp16", ["--dtype", "fp16"]],
  ["q8_0", ["--quantize", "q8_0"]],
  ["q4_0", ["--quantize", "q4_0"]],
] as const;

for (const subject of SUBJECTS) {
  const { model: name, shape } = subject;
  for (const [weights, flags] of GGUF_WEIGHTS) {
    test(`${name}, ${shape}, GGUF, ${weights}`, () =>
      inTemporaryFolder(async (folder) => {
        const exported = await exportedSubject(folder, subject, ["--to", "gguf", ...flags]);
        if (exported === null) return;
        const { model, out, ids } = exported;
        const [file] = JSON.parse(await Deno.readTextFile(`${out}/export.json`)).files;
        const cell = { format: "GGUF", weights, reader: "transformers", ...subject };
        if (shape === "pruned") {
          const request = { ids, new_tokens: 1, pad: 0 };
          await assert.rejects(
            () => runPython(python!, SCRIPT, [out, file], request),
            /model type `deci` but Transformers does not recognize/,
          );
          await record({
            ...cell,
            version: await transformersVersion(),
            reason: TRANSFORMERS_KNOWS_NO_DECI,
          });
        } else {
          const { answer, difference, greedy } = await compared(model, out, ids, [file]);
          if (!isQuantised(weights)) agrees(answer, difference, greedy);
          else assert.ok(difference.meanKl > 0, "quantised weights are not those of the source");
          await record({
            ...{ ...cell, version: answer.versions.transformers, saw: saw(answer) },
            ...figures(difference),
            ...(!isQuantised(weights) && { greedy: greedy.length }),
          });
        }
        model[Symbol.dispose]();
      }));
  }
}

async function transformersVersion(): Promise<string> {
  const args = ["-c", "import transformers; print(transformers.__version__)"];
  const { stdout } = await new Deno.Command(python!, { args }).output();
  return new TextDecoder().decode(stdout).trim();
}
