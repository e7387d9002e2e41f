import { BlobFolder } from "@lopper/browser";
import { countParameters, formatBytes } from "@lopper/core";
import { DEMO_MODEL_NAME } from "@lopper/demo-model";
import type { ModelFolder } from "@lopper/formats";
import { dtypeOfQuantised, type Model, openModel } from "@lopper/models";
import { policyOf, runFlags } from "@lopper/run";
import { largestReachableRatio, searchModelOf } from "@lopper/search";
import { embeddedModel } from "./embedded.ts";
import type { Opened, Source } from "./protocol.ts";

/**
 * The folder of a model that somebody chose.
 * @param onOpen hears the path of each file that is opened.
 */
export async function folderOf(
  source: Source,
  onOpen?: (path: string) => void,
): Promise<ModelFolder> {
  return source.kind === "embedded"
    ? await embeddedModel()
    : new BlobFolder(source.name, source.files, onOpen);
}

/** What people call the model. */
export function titleOf(source: Source): string {
  return source.kind === "embedded" ? DEMO_MODEL_NAME : source.name;
}

/**
 * What a model is, before anything is done with it.
 * @throws {CheckpointFormatError} when it is damaged.
 * @throws {UnsupportedModelError} when it is of a kind that Lopper does not read.
 */
export async function look(source: Source): Promise<Opened> {
  using model = await openModel(await folderOf(source));
  const { architecture } = model;
  return {
    title: titleOf(source),
    family: architecture.family,
    layers: architecture.layerCount,
    parameters: countParameters(architecture).total,
    bytes: model.weightBytes,
    longest: architecture.maxPositions,
    largestRatio: largestRatio(model),
    notes: [...quantised(model), ...model.notes],
  };
}

/** The most that can go, in per cent. */
function largestRatio(model: Model): number {
  const flags = runFlags(model.architecture, { ratio: 99.9, bestEffort: true });
  const policy = policyOf(model, flags, null);
  return largestReachableRatio(searchModelOf(model.architecture), { ...policy, target: 100 });
}

function quantised({ stored: { quantised } }: Model): readonly string[] {
  if (quantised === null) return [];
  const types = Object.entries(quantised).map(([type, n]) => `${type} ${formatBytes(n)}`);
  return [
    `weights are quantised in the file (${types.join(", ")}) and become ${
      dtypeOfQuantised(quantised)
    }`,
  ];
}
