import {
  type Architecture,
  type Block,
  type KeptUnits,
  planOfKept,
  type PrunePlan,
  sizeOf,
} from "@lopper/core";
import { MemoryFolder, MemorySink } from "@lopper/formats";
import { type Model, openModel, writePrunedModel } from "@lopper/models";

/** Collects written files in memory, by their path from the folder. */
export class MemoryOutput {
  readonly #sinks = new Map<string, MemorySink>();

  readonly open = (file: string): Promise<MemorySink> => {
    const sink = new MemorySink();
    this.#sinks.set(file, sink);
    return Promise.resolve(sink);
  };

  get files(): Readonly<Record<string, Uint8Array>> {
    return Object.fromEntries([...this.#sinks].map(([file, sink]) => [file, sink.bytes]));
  }

  folder(name: string): MemoryFolder {
    return new MemoryFolder(name, this.files);
  }
}

/**
 * A plan after which hardly two layers are alike: of four layers in turn, the first loses its
 * attention, the second keeps one KV group and every other channel, the third loses its MLP, and
 * the fourth both. A model of two layers keeps an attention.
 */
export function heterogeneousPlan(architecture: Architecture, modelDigest = ""): PrunePlan {
  const range = (n: number) => Array.from({ length: n }, (_, i) => i);
  const kept = architecture.blocks.map((block): KeptUnits | null => {
    const turn = block.layer % 4;
    const { kvGroups, channels, experts } = sizeOf(block);
    if (experts) {
      if (turn >= 2) return null;
      return turn === 0
        ? { experts: range(experts), channels: someOfEach(block, channels) }
        : { experts: everyOther(experts), channels: someOfEach(block, Math.ceil(channels / 2)) };
    }
    if (kvGroups) {
      if (turn === 0 || turn === 3) return null;
      return { kvGroups: turn === 1 ? [kvGroups - 1] : range(kvGroups) };
    }
    return turn >= 2
      ? null
      : { channels: range(channels).filter((c) => turn === 0 || c % 2 === 0) };
  });
  return planOfKept(architecture, kept, { modelDigest, removalOrder: [] });
}

/**
 * A plan after which all layers are alike: they keep the first KV groups and channels, every other
 * expert and half of the channels of each.
 */
export function uniformPlan(
  architecture: Architecture,
  groups: number,
  channels: number,
  modelDigest = "",
): PrunePlan {
  const kept = architecture.blocks.map((block): KeptUnits => {
    const { dimensions, routing } = block;
    if (routing) {
      const left = Math.ceil(sizeOf(block).channels / 2);
      return { experts: everyOther(dimensions[0].units), channels: someOfEach(block, left) };
    }
    const counts: KeptCounts = { kvGroups: groups, channels };
    return Object.fromEntries(
      dimensions.map(({ name }) => [name, Array.from({ length: counts[name] }, (_, i) => i)]),
    );
  });
  return planOfKept(architecture, kept, { modelDigest, removalOrder: [] });
}

type KeptCounts = Readonly<Record<string, number>>;

/** Of experts so that each of their groups, if there are some, keeps as many. */
function everyOther(experts: number): readonly number[] {
  return Array.from({ length: experts }, (_, i) => i).filter((i) => i % 2 === 0);
}

/** So many channels of each expert, of each other ones. */
function someOfEach({ dimensions }: Block, left: number): readonly number[] {
  const { units, owners = 1 } = dimensions.find(({ name }) => name === "channels")!;
  return Array.from(
    { length: owners },
    (_, owner) =>
      Array.from({ length: left }, (_, i) => (i + owner) % units)
        .sort((a, b) => a - b).map((unit) => owner * units + unit),
  ).flat();
}

/** What is gone of SmolLM2-135M: the blocks are ones that a search took first. */
const SMOLLM2 = {
  attentions: [5, 7, 17, 22, 29],
  mlps: [5, 16, 19],
  kvGroups: new Map([[10, [1, 2]], [23, [2]]]),
  channels: new Map([[13, 1504], [20, 1280], [24, 1024]]),
};

/**
 * A plan for SmolLM2-135M that takes a tenth and leaves a model of use (perplexity of the first 128
 * held-out tokens 126 instead of 93): attentions gone, MLPs, or both, and elsewhere KV groups and
 * channels.
 */
export function smolLm2Plan(architecture: Architecture): PrunePlan {
  const range = (n: number) => Array.from({ length: n }, (_, i) => i);
  const kept = architecture.blocks.map((block): KeptUnits | null => {
    const { layer } = block;
    const { kvGroups, channels } = sizeOf(block);
    if (kvGroups) {
      return SMOLLM2.attentions.includes(layer)
        ? null
        : { kvGroups: SMOLLM2.kvGroups.get(layer) ?? range(kvGroups) };
    }
    return SMOLLM2.mlps.includes(layer)
      ? null
      : { channels: range(SMOLLM2.channels.get(layer) ?? channels) };
  });
  return planOfKept(architecture, kept, { modelDigest: "", removalOrder: [] });
}

/** The part of a model that a plan keeps, written and opened again, in memory. */
export async function prunedInMemory(model: Model, plan: PrunePlan): Promise<Model> {
  const output = new MemoryOutput();
  await writePrunedModel(model, plan, output.open);
  return await openModel(output.folder(`${model.name} pruned`));
}
