import { denseShape } from "@lopper/core";
import { nextTokens } from "@lopper/importance";
import { type Decoder, forwardFrom } from "@lopper/runtime";
import type { SequenceScorer } from "./perplexity.ts";

/** Runs sequences through a decoder, block by block. */
export function sequenceScorer(decoder: Decoder): SequenceScorer {
  return {
    async nll(sequences) {
      const shape = denseShape(decoder.blocks);
      const hidden = await forwardFrom(decoder, shape, 0, await decoder.embed(sequences));
      return await decoder.nll(hidden, nextTokens(sequences));
    },
  };
}
