import type { Backend } from "@lopper/backends";
import { maxAbsDifference } from "@lopper/backends/testing";
import {
  denseShape,
  type Dimension,
  ExportError,
  LopperError,
  type PrunePlan,
  type Shape,
  withShape,
} from "@lopper/core";
import { EXPORT_FORMATS } from "@lopper/exports";
import { FileFolder, FileSource } from "@lopper/files";
import type { ModelFolder } from "@lopper/formats";
import { type Model, openGgufModel, openModel } from "@lopper/models";
import { Decoder, type KeyValues, LaidOutWeights, sequenceLogits } from "@lopper/runtime";
import { fileURLToPath } from "node:url";
import { MemoryOutput, prunedInMemory } from "./heterogeneous.ts";
import { planOfShape } from "./plan_of_shape.ts";
import { withTokenizer } from "./with_tokenizer.ts";

/** Folders of tiny models with the logits that transformers computes of them. */
export const FIXTURES = fileURLToPath(new URL("../fixtures/families", import.meta.url));

/** What is checked of a family, in the order of the columns of its row. */
export const COLUMNS = [
  "cpu",
  "wasm",
  "pruned",
  "cache",
  "safetensors",
  "safetensors, layers differ",
  "ONNX",
  "ONNX, layers differ",
  "GGUF",
  "GGUF, layers differ",
  "DeciLM, layers differ",
] as const;
export type Column = typeof COLUMNS[number];

/** It holds, or why Lopper refuses it. */
export type Verdict = { readonly holds: true } | { readonly refused: string };

/** A format, or a layout of one. */
type Format = keyof typeof EXPORT_FORMATS | "deci";

/** What holds of a family; a check that fails throws. */
export type FamilyRow = Readonly<Record<Column, Verdict>>;

/** How far logits of order one may differ by rounding alone. */
const TOLERANCE = 1e-4;

interface Case {
  readonly input_ids: readonly (readonly number[])[];
  /** Little-endian float32, `[B, T, V]`, in base64. */
  readonly logits: string;
}

/** The fixture that stands for each family: the first of its model type by name. */
export async function fixturesByFamily(): Promise<ReadonlyMap<string, string>> {
  const names = [...Deno.readDirSync(FIXTURES)].map(({ name }) => name).sort();
  const found = new Map<string, string>();
  for (const name of names) {
    const config = JSON.parse(await Deno.readTextFile(`${FIXTURES}/${name}/config.json`));
    if (!found.has(config.model_type)) found.set(config.model_type, name);
  }
  return found;
}

/**
 * Checks a fixture in every column.
 * @throws {Error} naming the first check whose numbers are others.
 */
export async function checkFamily(
  fixture: string,
  backends: { readonly cpu: Backend; readonly wasm: Backend },
): Promise<FamilyRow> {
  const folder = `${FIXTURES}/${fixture}`;
  using model = await openModel(new FileFolder(folder));
  const { cases } = JSON.parse(await Deno.readTextFile(`${folder}/expected.json`));
  await checkLogits(model, cases, backends.cpu, "cpu");
  await checkLogits(model, cases, backends.wasm, "wasm");
  const alike = planOfShape(model.architecture, halved(model, false));
  const differing = planOfShape(model.architecture, halved(model, true));
  for (const uneven of [false, true]) await checkPruned(model, uneven, backends.cpu);
  const holds = { holds: true } as const;
  const both = async (to: Format) => ({
    alike: await checkExport(model, alike, to, backends.cpu),
    differ: await checkExport(model, differing, to, backends.cpu),
  });
  const [safetensors, onnx] = [await both("safetensors"), await both("onnx")];
  const own = await both("gguf");
  const gguf = await asConverted(model, own, backends.cpu);
  return {
    ...{ cpu: holds, wasm: holds, pruned: holds, cache: holds },
    safetensors: safetensors.alike,
    "safetensors, layers differ": safetensors.differ,
    ONNX: onnx.alike,
    "ONNX, layers differ": onnx.differ,
    GGUF: gguf.alike,
    "GGUF, layers differ": gguf.differ,
    "DeciLM, layers differ": await checkExport(model, differing, "deci", backends.cpu),
  };
}

/** Models that llama.cpp's converter made, with settings that it knows, by their families. */
const CONVERTED = fileURLToPath(new URL("../fixtures/gguf/families", import.meta.url));

type GgufVerdicts = Readonly<Record<"alike" | "differ", Verdict>>;

/**
 * What holds of GGUF where a fixture has settings that no model of its family is published with:
 * that of the family's model as llama.cpp's converter makes it, where there is one.
 */
async function asConverted(
  { family, name }: Model,
  own: GgufVerdicts,
  backend: Backend,
): Promise<GgufVerdicts> {
  if ("holds" in own.alike) return own;
  const file = `${CONVERTED}/${family.modelType.replace("_text", "")}.gguf`;
  const isThere = await Deno.stat(file).then(() => true, () => false);
  if (!isThere) return own;
  using opened = await openGgufModel(await FileSource.open(file));
  const model = { ...opened, name };
  const shaped = (shape: Shape) =>
    checkExport(model, planOfShape(model.architecture, shape), "gguf", backend);
  const alike = await shaped(halved(model, false));
  if ("holds" in alike) return { alike, differ: await shaped(halved(model, true)) };
  const whole = await shaped(withHeads(model, halved(model, false)));
  const { refused } = alike;
  return {
    alike: "holds" in whole
      ? { refused: `${refused}; where all heads stay, it is written` }
      : alike,
    differ: own.differ,
  };
}

function withHeads({ architecture: { blocks } }: Model, shape: Shape): Shape {
  const dense = denseShape(blocks);
  return shape.map((size, number) => blocks[number].attention ? dense[number] : size);
}

async function checkLogits(
  model: Model,
  cases: readonly Case[],
  backend: Backend,
  name: string,
) {
  await using decoder = new Decoder(backend, await LaidOutWeights.load(model));
  for (const { input_ids, logits } of cases) {
    const wanted = new Float32Array(Uint8Array.from(atob(logits), (c) => c.charCodeAt(0)).buffer);
    const found = await sequenceLogits(decoder, input_ids);
    close(found, wanted, 2 * TOLERANCE, `${model.name} on ${name}`);
  }
}

/**
 * Half of the units of each dimension, alike in all layers; or where they differ, in every other
 * layer, and the attention of the last layer is gone.
 */
export function halved({ architecture }: Model, differ: boolean): Shape {
  const { blocks, layerCount } = architecture;
  const dense = denseShape(blocks);
  return blocks.map((block, number) => {
    if (differ && block.layer % 2 === 1) return dense[number];
    if (differ && block.layer === layerCount - 1 && layerCount > 1 && block.attention) return null;
    // Groups of units lose as many each.
    const half = ({ units, groups = 1 }: Dimension) => groups * Math.ceil(units / groups / 2);
    return Object.fromEntries(block.dimensions.map((one) => [one.name, half(one)]));
  });
}

/** A narrower model as an overlay, written and opened again, and token by token from a cache. */
async function checkPruned(model: Model, uneven: boolean, backend: Backend) {
  const { architecture, name } = model;
  const shape = halved(model, uneven);
  const ids = idsOf(model);
  await using overlay = new Decoder(backend, await LaidOutWeights.load(model));
  const expected = await sequenceLogits(overlay, [ids], shape);
  using written = await prunedInMemory(model, planOfShape(architecture, shape));
  if (written.architecture.blocks.length !== withShape(architecture, shape).blocks.length) {
    throw new Error(`${name}: what is written has other blocks`);
  }
  await using reopened = new Decoder(backend, await LaidOutWeights.load(written));
  close(await sequenceLogits(reopened, [ids]), expected, TOLERANCE, `${name}, written`);
  let past: readonly (KeyValues | null)[] | null = null;
  for (const [t, id] of ids.entries()) {
    const input = await overlay.embed([[id]], [t]);
    const step: Awaited<ReturnType<Decoder["runCached"]>> = await overlay.runCached(
      shape,
      input,
      past,
    );
    past = step.present;
    const row = expected.subarray(t * architecture.vocabSize, (t + 1) * architecture.vocabSize);
    close(await overlay.logits(step.hidden.data), row, TOLERANCE, `${name}, token ${t} by cache`);
  }
}

/** A pruned model written in a format, and read by what verifies it. */
async function checkExport(
  source: Model,
  plan: PrunePlan,
  to: Format,
  backend: Backend,
): Promise<Verdict> {
  using pruned = await prunedInMemory(source, plan);
  const model: Model = {
    ...pruned,
    name: source.name,
    folder: to === "gguf" ? withTokenizer(pruned) : pruned.folder,
  };
  await using decoder = new Decoder(backend, await LaidOutWeights.load(model));
  const ids = idsOf(model);
  const expected = await sequenceLogits(decoder, [ids]);
  const output = new MemoryOutput();
  const format = EXPORT_FORMATS[to === "deci" ? "safetensors" : to];
  const options = to === "deci" ? { layout: "deci" } as const : { dtype: "fp32" } as const;
  try {
    await format.write(model, output.open, options, "tiny");
  } catch (error) {
    if (error instanceof ExportError) return { refused: reasonOf(error, model.name) };
    throw error;
  }
  const context = { backend, model, ids, options };
  const folder = output.folder("exported");
  // Where readers lack what only longer texts need, the file says so.
  const longest = to === "gguf" ? await longestText(folder) : ids.length;
  const found = await format.logits(folder, { ...context, ids: ids.slice(0, longest) });
  const wanted = expected.subarray(0, longest * model.architecture.vocabSize);
  close(found, wanted, TOLERANCE, `${model.name} as ${to}`);
  if (to !== "onnx") return { holds: true };
  // That was the graph itself; as a source it is a model like any other.
  using again = await openModel(folder);
  await using reopened = new Decoder(backend, await LaidOutWeights.load(again));
  close(await sequenceLogits(reopened, [ids]), expected, TOLERANCE, `${model.name} from ONNX`);
  return { holds: true };
}

async function longestText(folder: ModelFolder): Promise<number> {
  using model = await openModel(folder);
  return model.architecture.maxPositions;
}

/** A sentence without the model that it is about, and without what to do instead. */
function reasonOf({ message }: LopperError, name: string): string {
  const said = message.replace(`${name}: `, "").split(/; (?:export|leave)\b/)[0];
  const written = /^GGUF files are written for .*, and it is/.exec(said);
  return written ? said.replace(written[0], "no GGUF file is written of") : said;
}

/** A text of the model's tokens, longer than the windows of fixtures. */
function idsOf({ architecture: { vocabSize, maxPositions } }: Model): readonly number[] {
  const length = Math.min(14, maxPositions);
  return Array.from({ length }, (_, i) => (7 + 5 * i * i) % vocabSize);
}

function close(found: Float32Array, wanted: Float32Array, tolerance: number, what: string) {
  const difference = found.length === wanted.length ? maxAbsDifference(found, wanted) : Infinity;
  if (!(difference <= tolerance)) throw new Error(`${what}: logits are off by ${difference}`);
}
