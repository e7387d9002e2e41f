import {
  type Architecture,
  countParameters,
  fewestExperts,
  formatBytes,
  formatCount,
  plural,
  type StopSignal,
} from "@lopper/core";
import { DEMO_MLP_GROUPS } from "@lopper/demo-model";
import { digestForm, type LayerSizes, type Model, modelDigest } from "@lopper/models";
import { HUB, on, type OptionTable, type OptionValues, OUTPUT } from "@lopper/options";
import { groupSizes, SETTINGS } from "@lopper/run";
import { slowerAttention, slowerOnDevices } from "@lopper/runtime";
import {
  defaultExpertGroup,
  defaultMlpGroup,
  denseState,
  headGroupUnit,
  largestReachableRatio,
  multiPruner,
  PRESETS,
  searchModelOf,
} from "@lopper/search";
import { Command } from "commander";
import { describeQuantised, table } from "../shared/terminal/format.ts";
import { type Interruption, UNINTERRUPTED } from "../shared/terminal/interrupt.ts";
import { addOptions } from "../shared/inputs/commander_options.ts";
import { type LocateModels, MODEL_HELP, modelLocator } from "../shared/inputs/locate_models.ts";
import { openLocated, TOLD } from "../shared/inputs/open_model.ts";
import { openReporter, type Reporter } from "../shared/terminal/reporter.ts";
import { print, printJson } from "../shared/terminal/terminal.ts";

const INSPECT_OPTIONS = {
  digest: {
    form: on,
    help: "read all weights, too, and say the digest by which runs and plans know the model",
  },
  ...HUB,
  ...OUTPUT,
} as const satisfies OptionTable;

export function inspectCommand(
  interruption: Interruption = UNINTERRUPTED,
  locate: LocateModels = modelLocator(),
): Command {
  const command = new Command("inspect")
    .description("Say what a checkpoint holds and what pruning could touch.")
    .argument(
      "[MODEL]",
      `${MODEL_HELP}; without it, the embedded model`,
    );
  return addOptions(command, INSPECT_OPTIONS)
    .addHelpText(
      "after",
      "\nExamples:\n  lopper inspect\n  lopper inspect ./SmolLM2-135M --json\n  lopper inspect model.gguf\n" +
        "  lopper inspect HuggingFaceTB/SmolLM2-135M\n",
    )
    .action(async (path: string | undefined, options: OptionValues<typeof INSPECT_OPTIONS>) => {
      const signal = interruption.saying("stopped");
      using reporter = openReporter();
      const how = { offline: options.offline, reporter, interruption };
      const [located] = await locate([path ?? null], how);
      using model = await openLocated(located, TOLD);
      const facts = {
        name: located.title,
        family: model.architecture.family,
        digest: options.digest ? await digestOf(model, reporter, signal) : null,
        parameters: parametersOf(model.architecture),
        bytes: model.weightBytes,
        quantised: model.stored.quantised,
        notes: [
          ...model.notes,
          ...slowerAttention(model.architecture),
          ...slowerOnDevices(model.architecture),
        ],
        dtypes: dtypes(model.weights.map(({ tensor }) => tensor)),
        architecture: { ...digestForm(model), eosTokenIds: model.architecture.eosTokenIds },
        prunable: prunable(
          model.architecture,
          located.path === null ? DEMO_MLP_GROUPS : SETTINGS.lopper.mlpGroups,
        ),
      };
      if (options.json) printJson(facts, 2);
      else print(describe(facts));
    });
}

/** Of every byte of the weights, which of a large model takes minutes. */
async function digestOf(model: Model, reporter: Reporter, signal: StopSignal): Promise<string> {
  const digest = await modelDigest(model, (done, total) => {
    reporter.progress("reading the model", done, total);
    signal.throwIfAborted();
  });
  reporter.stop();
  return digest;
}

type Facts = {
  name: string;
  family: string;
  /** Null where it was not asked for. */
  digest: string | null;
  parameters: ReturnType<typeof parametersOf>;
  bytes: number;
  quantised: Model["stored"]["quantised"];
  notes: Model["notes"];
  dtypes: Record<string, number>;
  architecture: ReturnType<typeof digestForm>;
  prunable: ReturnType<typeof prunable>;
};

/** Parameters by part: of blocks, by their kind. */
function parametersOf(architecture: Architecture): Readonly<Record<string, number>> {
  const { embedding, lmHead, blocks, norms, total } = countParameters(architecture);
  return { embedding, lmHead, ...blocks, norms, total };
}

/** Bytes by dtype. */
function dtypes(tensors: readonly { dtype: string; byteLength: number }[]) {
  const bytes: Record<string, number> = {};
  for (const { dtype, byteLength } of tensors) bytes[dtype] = (bytes[dtype] ?? 0) + byteLength;
  return bytes;
}

/** What each dimension has to give, in groups as large as a run takes them by default. */
function prunable(architecture: Architecture, mlpGroups: number) {
  const mlpGroup = defaultMlpGroup(architecture, mlpGroups);
  const attentionGroup = headGroupUnit(architecture);
  const expertGroup = defaultExpertGroup(architecture);
  const model = searchModelOf(architecture);
  const policy = multiPruner(model, {
    ratio: 99.9,
    distribution: PRESETS.multipruner,
    groups: groupSizes({ mlpGroup, attentionGroup, expertGroup }),
  });
  const dense = denseState(model.blocks);
  const mixtures = architecture.blocks.flatMap(({ routing, dimensions: [{ groups }] }) =>
    routing ? [fewestExperts(routing, groups)] : []
  );
  const [blocks, channels, heads] = policy.stages.map((s) => s.candidates(dense, s.bound).length);
  return {
    blocks,
    mlpGroup,
    layersWithPrunableChannels: channels,
    attentionGroup,
    expertGroup,
    layersWithExperts: mixtures.length,
    /** Of the experts of a layer, as many stay at least. */
    fewestExperts: Math.max(0, ...mixtures),
    layersWithPrunableHeads: heads,
    largestRatio: largestReachableRatio(model, { ...policy, target: 100 }),
  };
}

function describe(facts: Facts): string {
  const { name, parameters, bytes, dtypes, quantised, notes, architecture, prunable, digest } =
    facts;
  const share = (n: number) => `${(100 * n / parameters.total).toFixed(1)} %`;
  const part = (what: string, n: number) => n > 0 ? [[what, formatCount(n), share(n)]] : [];
  return [
    `${name}: ${architecture.family}, ${architecture.layers.length} layers, hidden size ${architecture.hiddenSize}, ` +
    `head size ${architecture.headDim}, vocabulary ${architecture.vocabSize}${
      architecture.tiedEmbeddings ? ", tied embeddings" : ""
    }`,
    "",
    table([
      ["part", "parameters", "share"],
      ...part("embedding", parameters.embedding),
      ...part("LM head", parameters.lmHead),
      ...part("attention", parameters.attention),
      ...part("MLP", parameters.mlp ?? 0),
      ...part("experts", parameters.experts ?? 0),
      ...part("norms", parameters.norms),
      ["all", formatCount(parameters.total), "100.0 %"],
    ]),
    "",
    `  ${formatBytes(bytes)} of weights (${
      Object.entries(dtypes).map(([dtype, n]) => `${dtype} ${formatBytes(n)}`).join(", ")
    })`,
    ...(quantised ? [`  ${describeQuantised(quantised)}`] : []),
    ...notes.map((note) => `  ${note}`),
    "",
    table([
      ["layer", "query heads", "KV heads", mlpHeading(architecture.layers)],
      ...layerRows(architecture.layers),
    ]),
    "",
    "What pruning could touch:",
    `  blocks    ${prunable.blocks} attention and MLP blocks`,
    prunable.expertGroup === null
      ? `  channels  MLP of ${prunable.layersWithPrunableChannels} layers, ${prunable.mlpGroup} channels at a time`
      : `  experts   of ${
        plural(prunable.layersWithExperts, "layer")
      }, ${prunable.expertGroup} of each at a time, at least ${prunable.fewestExperts} of each stay; or ${prunable.mlpGroup} channels of each expert`,
    `  heads     attention of ${prunable.layersWithPrunableHeads} layers, ${
      plural(prunable.attentionGroup / architecture.headDim, "query head")
    } with their KV head at a time`,
    ...(digest === null ? [] : ["", `  ${digest}`]),
  ].join("\n");
}

/** What layers have beside attention where some have experts, and others an MLP. */
const BOTH = "experts or MLP width";

function mlpHeading(layers: readonly LayerSizes[]): string {
  const kinds = new Set(layers.flatMap(({ mlp }) => mlp ? [mlp.experts !== undefined] : []));
  if (kinds.size > 1) return BOTH;
  return kinds.has(true) ? "experts" : "MLP width";
}

function mlpCell({ mlp }: LayerSizes, isMixed: boolean): string {
  if (!mlp) return "removed";
  if (mlp.experts !== undefined) return `${mlp.experts}, each of ${mlp.intermediateSize}`;
  return isMixed ? `MLP, ${mlp.intermediateSize}` : String(mlp.intermediateSize);
}

/** One row a layer, equal neighbours joined. */
function layerRows(layers: readonly LayerSizes[]): string[][] {
  const isMixed = mlpHeading(layers) === BOTH;
  const rows = layers.map((layer) => [
    layer.attention ? String(layer.attention.queryHeads) : "removed",
    layer.attention ? String(layer.attention.kvHeads) : "removed",
    mlpCell(layer, isMixed),
  ]);
  const joined: string[][] = [];
  for (let first = 0; first < rows.length;) {
    let last = first;
    while (last + 1 < rows.length && rows[last + 1].join() === rows[first].join()) last += 1;
    joined.push([first === last ? String(first) : `${first}–${last}`, ...rows[first]]);
    first = last + 1;
  }
  return joined;
}
