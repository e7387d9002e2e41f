import type { Backend } from "@lopper/backends";
import { countParameters } from "@lopper/core";
import { type CalibrationSet, SuffixScorer } from "@lopper/importance";
import {
  type Model,
  modelDigest,
  openModel,
  planToJson,
  publishedConfigToJson,
  type Tokenizer,
  toPublishedConfig,
  writePrunedModel,
} from "@lopper/model-io";
import { FileFolder } from "@lopper/model-io/files";
import { Decoder, generate, LaidOutWeights, sourceOrder } from "@lopper/runtime";
import type { RunTexts } from "./calibrate.ts";
import type { Decision } from "./decide.ts";
import type { RunFolder } from "./run_folder.ts";

/** What one model is worth. */
export interface ModelMeasures {
  /** Perplexity on the block samples. */
  readonly calibration: number;
  /** Perplexity on text that the search never saw. */
  readonly heldOut: number;
  /** How it continues `SAMPLE_PROMPT`. */
  readonly continuation: string;
}

export interface PrunedMeasures extends ModelMeasures {
  readonly digest: string;
  readonly parameters: number;
  /** Bytes of the weight tensors. */
  readonly bytes: number;
}

export const SAMPLE_PROMPT = "The old man looked at the sea and";
const SAMPLE_TOKENS = 32;

/** Writes the checkpoint, the plan, and the published config into the run's folder. */
export async function writeResult(model: Model, decision: Decision, folder: RunFolder) {
  const { plan, layers } = decision;
  const written = await writePrunedModel(model, plan, (file) => folder.sink(file));
  const published = toPublishedConfig(model.spec, layers, plan.removalOrder);
  await folder.writePlan(planToJson(plan), publishedConfigToJson(published));
  return written;
}

/** Measures a model. `onProgress` hears the tokens done, and those to do. */
export async function measureModel(
  decoder: Decoder,
  texts: RunTexts,
  tokenizer: Tokenizer,
  onProgress: (done: number, total: number) => void,
): Promise<ModelMeasures> {
  const tokensOf = ({ sequences, length }: CalibrationSet) => sequences.length * length;
  const total = tokensOf(texts.block) + tokensOf(texts.heldOut);
  let done = 0;
  const perplexityOn = async (set: CalibrationSet) => {
    const scorer = new SuffixScorer(decoder, set, { cacheBytes: 0 });
    const { layers } = decoder.spec;
    const { perplexity } = await scorer.evaluate(layers, (n) => onProgress(done + n, total));
    done += tokensOf(set);
    return perplexity;
  };
  return {
    calibration: await perplexityOn(texts.block),
    heldOut: await perplexityOn(texts.heldOut),
    continuation: await continuation(decoder, tokenizer),
  };
}

/** Opens what was written and measures it: what the record says of the pruned model is said of the files on disk. */
export async function measureWritten(
  backend: Backend,
  folder: RunFolder,
  expandedBytes: number,
  measure: (decoder: Decoder) => Promise<ModelMeasures>,
): Promise<PrunedMeasures> {
  const model = await openModel(new FileFolder(folder.path));
  try {
    const weights = await LaidOutWeights.load(model, sourceOrder(model.spec), { expandedBytes });
    const decoder = new Decoder(backend, weights);
    return {
      ...await measure(decoder),
      digest: await modelDigest(model),
      parameters: countParameters(model.spec).total,
      bytes: model.weightBytes,
    };
  } finally {
    model.close();
  }
}

async function continuation(decoder: Decoder, tokenizer: Tokenizer): Promise<string> {
  const prompt = tokenizer.encode(SAMPLE_PROMPT);
  const options = { maxTokens: SAMPLE_TOKENS, temperature: 0.7, seed: 42 };
  const ids = [...prompt];
  for await (const id of generate(decoder, prompt, options)) ids.push(id);
  const text = tokenizer.decode(ids).slice(tokenizer.decode(prompt).length);
  return text.replace(/\s+/g, " ").trim();
}
