import type { Backend } from "@lopper/backends";
import { countParameters, type DenseAndPruned, type RunRecord } from "@lopper/core";
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

/** How the two models continue the same words. */
export interface TextSample {
  readonly prompt: string;
  readonly dense: string;
  readonly pruned: string;
}

export interface Measured {
  readonly prunedDigest: string;
  readonly parameters: DenseAndPruned;
  readonly bytes: DenseAndPruned;
  readonly perplexity: RunRecord["perplexity"];
  readonly sample: TextSample;
}

const SAMPLE_PROMPT = "The old man looked at the sea and";
const SAMPLE_TOKENS = 32;

/** Writes the checkpoint, the plan, and the published config into the run's folder. */
export async function writeResult(model: Model, decision: Decision, folder: RunFolder) {
  const { plan, layers } = decision;
  const written = await writePrunedModel(model, plan, (file) => folder.sink(file));
  const published = toPublishedConfig(model.spec, layers, plan.removalOrder);
  await folder.writePlan(planToJson(plan), publishedConfigToJson(published));
  return written;
}

/**
 * Opens what was written and measures it beside the dense model: what the record says of the pruned model is said of the
 * files on disk.
 */
export async function measure(
  backend: Backend,
  dense: { model: Model; decoder: Decoder },
  folder: RunFolder,
  texts: RunTexts,
  tokenizer: Tokenizer,
  onProgress: (done: number, total: number) => void,
): Promise<Measured> {
  const model = await openModel(new FileFolder(folder.path));
  try {
    const decoder = new Decoder(
      backend,
      await LaidOutWeights.load(model, sourceOrder(model.spec)),
    );
    let done = 0;
    const tokensOf = ({ sequences, length }: CalibrationSet) => sequences.length * length;
    const total = 2 * (tokensOf(texts.block) + tokensOf(texts.heldOut));
    const perplexityOn = async (model: Decoder, set: CalibrationSet) => {
      const scorer = new SuffixScorer(model, set, { cacheBytes: 0 });
      const report = (tokens: number) => onProgress(done + tokens, total);
      const { perplexity } = await scorer.evaluate(model.spec.layers, report);
      done += tokensOf(set);
      return perplexity;
    };
    const both = async (set: CalibrationSet) => ({
      dense: await perplexityOn(dense.decoder, set),
      pruned: await perplexityOn(decoder, set),
    });
    return {
      prunedDigest: await modelDigest(model),
      parameters: {
        dense: countParameters(dense.model.spec).total,
        pruned: countParameters(model.spec).total,
      },
      bytes: { dense: dense.model.weightBytes, pruned: model.weightBytes },
      perplexity: { calibration: await both(texts.block), heldOut: await both(texts.heldOut) },
      sample: {
        prompt: SAMPLE_PROMPT,
        dense: await continuation(dense.decoder, tokenizer),
        pruned: await continuation(decoder, tokenizer),
      },
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
