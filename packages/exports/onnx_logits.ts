import {
  type Executable,
  type Feeds,
  float32,
  float32Data,
  type HostTensor,
  int64,
} from "@lopper/backends";
import { type Architecture, ExportError, headsOf } from "@lopper/core";

/**
 * Logits `[ids.length, vocabSize]` of an exported decoder, in two runs: the second gets its part of
 * the text, and what the first put into the cache.
 * @throws {ExportError} when the decoder returns something else than its layout promises.
 */
export async function onnxLogits(
  decoder: Executable,
  architecture: Architecture,
  ids: readonly number[],
): Promise<Float32Array> {
  const logits = new Float32Array(ids.length * architecture.vocabSize);
  const middle = Math.ceil(ids.length / 2);
  let past = emptyPast(architecture);
  for (const [start, end] of [[0, middle], [middle, ids.length]]) {
    if (start === end) continue;
    const length = end - start;
    const fetches = await decoder.run({
      input_ids: int64(ids.slice(start, end), [1, length]),
      attention_mask: int64(new Array(end).fill(1), [1, end]),
      position_ids: int64(Array.from({ length }, (_, i) => start + i), [1, length]),
      ...past,
    });
    const part = float32Data(fetches, "logits");
    if (part.length !== length * architecture.vocabSize) {
      throw new ExportError(
        `the exported decoder returns ${part.length} logits for ${length} tokens; ` +
          `${length * architecture.vocabSize} are expected`,
      );
    }
    logits.set(part, start * architecture.vocabSize);
    past = presentAsPast(fetches);
  }
  return logits;
}

/** The past of a text that has not begun, for every layer that keeps attention. */
export function emptyPast({ blocks, headDim }: Architecture, batch = 1): Feeds {
  const empty = (kvHeads: number) => float32(new Float32Array(0), [batch, kvHeads, 0, headDim]);
  const heads = blocks.filter(({ attention }) => attention).map((block) => headsOf(block));
  return Object.fromEntries(heads.flatMap(({ kvHeads }, i) => [
    [`past_key_values.${i}.key`, empty(kvHeads)],
    [`past_key_values.${i}.value`, empty(kvHeads)],
  ]));
}

/** What a run put into the cache, under the names by which the next one reads it. */
function presentAsPast(fetches: Readonly<Record<string, HostTensor>>): Feeds {
  return Object.fromEntries(
    Object.entries(fetches).flatMap(([name, tensor]) =>
      name.startsWith("present.") ? [[name.replace("present", "past_key_values"), tensor]] : []
    ),
  );
}
