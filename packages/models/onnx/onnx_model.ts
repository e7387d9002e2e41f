import {
  type Architecture,
  CheckpointFormatError,
  DTYPE_BYTES,
  LopperError,
  sizeOf,
  weightShape,
} from "@lopper/core";
import { architectureFromConfig, familyOfConfig } from "../config.ts";
import type { ModelConfig } from "../config_schema.ts";
import { checkConfig } from "../config_kind.ts";
import { blockTensorName, type Family } from "../families/family.ts";
import { familyOf } from "../families/mod.ts";
import { type FoundModel, modelOfFolder } from "../folder/model_of_folder.ts";
import { lookAtFolder } from "../folder/open_folder.ts";
import {
  anyObject,
  ExternalFiles,
  type ModelFolder,
  type OnnxGraph,
  OnnxTensorStore,
  type PlacedWeight,
  readJson,
  readOnnxGraph,
  ValueFlow,
  type WeightData,
} from "@lopper/formats";
import { type Model, outerTensorName } from "../model.ts";
import {
  BUILDER_CONFIG,
  type BuilderConfig,
  configFromBuilder,
  readBuilderConfig,
} from "./builder_config.ts";
import { checkQueryGrowth } from "./growth_check.ts";
import { withGraphLayers } from "./layers.ts";
import { checkAttributes, checkNotQuantised, checkOperators } from "./operators.ts";
import { ownGraphWeights } from "./own_graph.ts";
import { ownLayersOf } from "./own_layers.ts";
import { checkRotaryAngles } from "./rotary_check.ts";
import { bindModel } from "../tied_head.ts";
import { notReadOfOthers, unlikeFamily, unlikeGraphs } from "./unlike_graphs.ts";
import { describeRole, type TensorRole } from "./weight_names.ts";
import { findWeights, type FoundWeight } from "./weight_uses.ts";
import { checkWiring } from "./wiring.ts";

const CONFIG = "config.json";

/**
 * What writes graphs whose layers may differ, up to 0.3.0 with a config that does not say so.
 */
const OURS = "lopper";

/**
 * Opens the decoder of an ONNX file as the model that it was exported from.
 * @param from holds the tokenizer, and config.json or genai_config.json.
 * @param path of the file in it: "model.onnx", "onnx/model.onnx".
 * @throws {CheckpointFormatError} when a file is malformed, or its weights are not those that the
 *   config declares.
 * @throws {UnsupportedModelError} for what is no decoder of the families that Lopper reads, naming
 *   the node.
 */
export async function openOnnxModel(from: ModelFolder, path: string): Promise<Model> {
  const folder = await lookAtFolder(from);
  const parts = path.split("/");
  const file = parts.pop()!;
  const graphFolder = parts.reduce<ModelFolder>((at, name) => at.folder(name), folder);
  // What is beside the graph may be of the builder of onnxruntime-genai, which writes no
  // config.json.
  const built = !await folder.has(CONFIG) && await folder.has(BUILDER_CONFIG);
  const described = built ? BUILDER_CONFIG : CONFIG;
  const readBeside = () => built ? readBuilderConfig(folder) : readConfig(folder);
  // Before the graph: that of another kind of model need not be understood. A file alone is looked
  // at first.
  const early = built || await folder.has(CONFIG) ? await readBeside() : null;
  const files = new ExternalFiles(graphFolder, await graphFolder.open(file));
  try {
    const graph = await readOnnxGraph(files.graph);
    const beside = early ?? await readBeside();
    checkNotQuantised(graph);
    const read = { graph, files, described, file: `${folder.name}/${described}` };
    const found = "decoder" in beside
      ? await foundByParts(read, beside)
      : await foundBeside(read, beside);
    const paths = [...files.sources.keys()].map((name) => name.slice(folder.name.length + 1));
    return await modelOfFolder(folder, { ...found, description: described, read: paths });
  } catch (error) {
    files.close();
    throw error;
  }
}

/** A graph that is read, and the file beside it that describes it. */
interface ReadGraph {
  readonly graph: OnnxGraph;
  readonly files: ExternalFiles;
  readonly described: string;
  /** Path of that file, for messages. */
  readonly file: string;
}

type Found = Omit<FoundModel, "description" | "read">;

/** What a config.json says for Lopper. */
interface Described {
  readonly config: ModelConfig;
  /** All layers are in it, and not those alone that have a cache. */
  readonly whole: boolean;
}

/** The model of a graph beside which there is a config.json. */
async function foundBeside(read: ReadGraph, described: Described): Promise<Found> {
  const { graph, files, file } = read;
  const { architecture, family } = architectureFromConfig(described.config, file);
  const unlike = unlikeGraphs(architecture, family);
  if (graph.producer === OURS) {
    try {
      const store = await ownGraphWeights(graph, files, architecture, family);
      const where = { family, file: graph.file, description: read.described };
      return { ...await bindModel(architecture, described.config, store, where), family, store };
    } catch (error) {
      // An earlier version may have written it otherwise, and its config does not say all.
      if (!(error instanceof LopperError) || unlike !== null) throw error;
    }
  }
  if (unlike === null) return await foundByParts(read, described);
  throw notReadOfOthers(graph.file, family, unlike);
}

/** The model of a graph by the names and the structure of its nodes. */
async function foundByParts(
  { graph, files, described, file }: ReadGraph,
  beside: BuilderConfig | Described,
): Promise<Found> {
  const named = familyBeside(beside, file);
  const unlike = unlikeFamily(named);
  if (unlike !== null) throw notReadOfOthers(graph.file, named, unlike);
  checkOperators(graph);
  const flow = new ValueFlow(graph);
  const found = findWeights(flow, named);
  const declared = "decoder" in beside
    ? await configFromBuilder(beside, flow, found, files)
    : beside.config;
  const whole = graph.producer !== OURS || "whole" in beside && beside.whole;
  const layered = whole ? declared : withGraphLayers(declared, found);
  const { architecture: shapes, family } = architectureFromConfig(layered, file);
  checkAttributes(graph, shapes);
  const placed: PlacedWeight[] = [];
  for (const weight of found) {
    placed.push(...place(weight, await files.locate(weight), shapes, family));
  }
  const store = new OnnxTensorStore(placed, files.sources);
  const where = { family, file: graph.file, description: described };
  const bound = await bindModel(shapes, layered, store, where);
  checkWiring(flow, found, bound.architecture);
  await checkRotaryAngles(flow, files, bound.architecture);
  await checkQueryGrowth(flow, files, bound.architecture);
  return { ...bound, family, store };
}

/** config.json, without what it says about the files of an ONNX export. */
async function readConfig(folder: ModelFolder): Promise<Described> {
  const json = await readJson(folder, CONFIG, anyObject);
  const own = ownLayersOf(json);
  const { "transformers.js_config": _, ...config } = checkConfig(
    own ?? json,
    `${folder.name}/${CONFIG}`,
  );
  return { config: config as ModelConfig, whole: own !== null };
}

/** The family that a file beside the graph names. */
function familyBeside(beside: BuilderConfig | Described, file: string): Family {
  return "decoder" in beside ? familyOf(beside.type, file) : familyOfConfig(beside.config, file);
}

/** The weights that lie in a tensor: one, or q, k and v below each other. */
function place(
  weight: FoundWeight,
  { source, offset }: WeightData,
  architecture: Architecture,
  family: Family,
): readonly PlacedWeight[] {
  const { role, tensor, dtype, transposed } = weight;
  const width = DTYPE_BYTES[dtype];
  const shape = transposed ? tensor.shape.toReversed() : tensor.shape;
  const view = (role: TensorRole, firstRow: number, rows: number): PlacedWeight => {
    const [, ...rest] = shape;
    const rowSize = rest.reduce((product, d) => product * d, 1);
    const matrix = transposed && shape.length === 2;
    return {
      stride: matrix ? shape[0] : 0,
      info: {
        name: weightName(role, family),
        dtype,
        shape: [rows, ...rest],
        file: source.name,
        offset: offset + firstRow * width * (matrix ? 1 : rowSize),
        byteLength: rows * rowSize * width,
      },
    };
  };
  if (!("layer" in role) || (role.weight !== "qkv" && role.weight !== "qkv_bias")) {
    return [{ ...view(role, 0, shape[0]) }];
  }
  const block = architecture.blocks.find((at) => at.layer === role.layer && at.kind === role.part);
  const rowsOf = (name: string) => {
    const declared = block?.weights.find((weight) => weight.name === name);
    return declared ? weightShape(declared, sizeOf(block!))[0] : 0;
  };
  const [q, kv] = [rowsOf("q"), rowsOf("k")];
  if (shape[0] !== q + 2 * kv) {
    throw new CheckpointFormatError(
      `it is ${describeRole(role)} with ${
        shape[0]
      } rows, and the config needs ${q} + ${kv} + ${kv}`,
      { file: source.name, tensor: tensor.name, offset },
    );
  }
  const bias = role.weight === "qkv_bias";
  const part = (name: "q" | "k" | "v", first: number, rows: number) =>
    view({ ...role, weight: bias ? `${name}_bias` : name }, first, rows);
  return [part("q", 0, q), part("k", q, kv), part("v", q + kv, kv)];
}

function weightName(role: TensorRole, family: Family): string {
  if (!("layer" in role)) return outerTensorName(family, role.part);
  return blockTensorName(family, { layer: role.layer, kind: role.part }, role.weight);
}
