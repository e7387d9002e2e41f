import { nextTokens } from "@lopper/importance";
import { type Decoder, forwardFrom } from "@lopper/runtime";
import type { SequenceScorer } from "./perplexity.ts";

/** Runs sequences through a decoder, block by block. */
export function sequenceScorer(decoder: Decoder): SequenceScorer {
  return {
    async nll(sequences) {
      const { layers } = decoder.spec;
      const stream = await forwardFrom(decoder, layers, 0, await decoder.embed(sequences));
      return await decoder.nll(stream, nextTokens(sequences));
    },
  };
}
