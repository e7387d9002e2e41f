import { DATA_SETS } from "@lopper/evaluation";
import { stringify } from "yaml";
import type { CardFacts, CardSource, ScoredTask } from "./facts.ts";
import { HUB_ID } from "./source_metadata.ts";

/** By which a card of Lopper's is known, and its model is found. */
const OWN_TAG = "lopper";

/** What stands before the text of the card, for programs: the hub's metadata of a model. */
export function frontMatter(facts: CardFacts, title: string): string {
  const { source, scores } = facts;
  const tasks = scores?.tasks.filter(isWhole) ?? [];
  const metadata = {
    ...terms(source),
    ...listed("language", source.metadata?.language),
    ...listed("datasets", source.metadata?.datasets),
    library_name: "transformers",
    pipeline_tag: "text-generation",
    ...derivation(source),
    tags: [OWN_TAG, "pruned", ...(facts.readers.customCode ? ["custom_code"] : [])],
    ...(tasks.length > 0 && { "model-index": [{ name: title, results: tasks.map(result) }] }),
  };
  // Readers of YAML 1.1 take `no`, a language, for false, and more of the kind.
  const yaml = stringify(metadata, { compat: "yaml-1.1", lineWidth: 0 });
  return `---\n${yaml}---\n`;
}

/** The licence of the source holds; where only a file of terms says which, that is named. */
function terms({ metadata, terms }: CardSource): Readonly<Record<string, unknown>> {
  const [license, ...others] = metadata?.license ?? [];
  if (license !== undefined) {
    const { license_name, license_link } = metadata!;
    return {
      license: others.length > 0 ? [license, ...others] : license,
      ...(license_name !== undefined && { license_name }),
      ...(license_link !== undefined && isReachable(license_link, terms) && { license_link }),
    };
  }
  const [file] = terms;
  return file === undefined
    ? {}
    : { license: "other", license_name: "as-the-base-model", license_link: file };
}

/** A link to a file that did not come along leads nowhere. */
function isReachable(link: string, files: readonly string[]): boolean {
  return /^https?:\/\//i.test(link) || files.includes(link);
}

/**
 * The hub knows adapters, merges, quantised models and finetunes: a model that others were made of
 * by changing its weights is among the last.
 */
function derivation({ id, metadata }: CardSource): Readonly<Record<string, unknown>> {
  const base = id !== null && HUB_ID.test(id)
    ? [id]
    // What was pruned before has what it was made of then.
    : metadata?.tags.includes(OWN_TAG)
    ? metadata.base_model
    : [];
  return base.length === 0
    ? {}
    : { base_model: base.length === 1 ? base[0] : base, base_model_relation: "finetune" };
}

function listed(key: string, values: readonly string[] = []): Readonly<Record<string, unknown>> {
  return values.length === 0 ? {} : { [key]: values };
}

/** Scores of some questions of a task cannot be compared with anybody's. */
function isWhole({ task, metric, questions, available }: ScoredTask): boolean {
  return metric !== "perplexity" && questions === available && task in DATA_SETS;
}

function result({ task, metric, pruned }: ScoredTask) {
  const { repository, part } = DATA_SETS[task];
  return {
    task: { type: "text-generation", name: "Text Generation" },
    dataset: { type: repository, name: `${task} (${part})` },
    metrics: [{ type: "accuracy", name: metric, value: pruned }],
  };
}
