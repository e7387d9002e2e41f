import { withAttention } from "@lopper/models/testing";
import { openBackend } from "@lopper/backends";
import type { Architecture } from "@lopper/core";
import { openModel } from "@lopper/models";
import assert from "node:assert/strict";
import { Random, tinyModel } from "../../tests/support/tiny_models.ts";
import { Decoder } from "./decoder.ts";
import { sequenceLogits } from "./forward.ts";
import { generate, sampleSequences } from "./generate.ts";
import { LaidOutWeights } from "./weight_layout.ts";

/** Decodes with a random tiny model whose architecture is changed; the weights stay. */
async function withDecoder(
  seed: number,
  change: Partial<Architecture> | ((architecture: Architecture) => Partial<Architecture>),
  body: (decoder: Decoder) => Promise<void>,
) {
  const { backend } = await openBackend("cpu", { threads: 1 });
  const model = await openModel(await tinyModel(new Random(seed)));
  const { architecture } = model;
  const changed = {
    ...model,
    architecture: {
      ...architecture,
      ...(typeof change === "function" ? change(architecture) : change),
    },
  };
  const weights = await LaidOutWeights.load(changed);
  const decoder = new Decoder(backend, weights);
  try {
    await body(decoder);
  } finally {
    await decoder.dispose();
    await backend[Symbol.asyncDispose]();
  }
}

function engineTest(name: string, fn: () => Promise<void>) {
  // The engine keeps a thread pool for the life of the process.
  Deno.test({ name: `generate: ${name}`, sanitizeOps: false, sanitizeResources: false, fn });
}

const greedy = (maxTokens: number) => ({ maxTokens, temperature: 0, seed: 0 });
const PROMPT = [3, 1, 4, 1, 5];

engineTest("temperature 0 takes the largest logit of a full pass, every time", async () => {
  for (let seed = 0; seed < 12; seed++) {
    // Every other model with the norms behind its blocks.
    const change = ({ blocks }: Architecture): Partial<Architecture> =>
      seed % 2 === 0 ? {} : { blocks: blocks.map((block) => ({ ...block, placement: "post" })) };
    await withDecoder(seed, change, async (decoder) => {
      const { vocabSize } = decoder.architecture;
      const ids = [...PROMPT];
      for await (const next of generate(decoder, PROMPT, greedy(10))) {
        const logits = [...await sequenceLogits(decoder, [ids])].slice(-vocabSize);
        // what rounding alone can tell apart is no tie
        assert.ok(logits[next] >= Math.max(...logits) - 1e-5, `seed ${seed} after ${ids}`);
        ids.push(next);
      }
      assert.equal(ids.length, PROMPT.length + 10);
    });
  }
});

engineTest("narrower layers are what the logits come from", async () => {
  await withDecoder(5, {}, async (decoder) => {
    const shape = decoder.blocks.map(() => null);
    const ids = await Array.fromAsync(generate(decoder, PROMPT, { ...greedy(4), shape }));
    const all = [...PROMPT, ...ids];
    for (let t = PROMPT.length; t < all.length; t++) {
      const logits = [...await sequenceLogits(decoder, [all.slice(0, t)], shape)]
        .slice(-decoder.architecture.vocabSize);
      assert.equal(all[t], logits.indexOf(Math.max(...logits)));
    }
  });
});

engineTest("a seed repeats its text, and others give others", async () => {
  await withDecoder(2, {}, async (decoder) => {
    const text = async (seed: number) =>
      (await Array.fromAsync(
        generate(decoder, PROMPT, { maxTokens: 12, temperature: 1, seed }),
      )).join(" ");
    const texts = await Promise.all([1, 2, 3, 4, 1].map(text));
    assert.equal(texts[4], texts[0]);
    assert.equal(new Set(texts).size, 4);
  });
});

engineTest("over seeds, tokens come as often as their probability says", async () => {
  await withDecoder(2, {}, async (decoder) => {
    const { vocabSize } = decoder.architecture;
    const temperature = 0.8, runs = 1500;
    const logits = (await sequenceLogits(decoder, [PROMPT])).slice(-vocabSize);
    const weights = Array.from(logits, (x) => Math.exp(x / temperature));
    const sum = weights.reduce((a, b) => a + b, 0);
    const counts = new Array<number>(vocabSize).fill(0);
    for (let seed = 0; seed < runs; seed++) {
      for await (
        const next of generate(decoder, PROMPT, { maxTokens: 1, temperature, seed })
      ) counts[next] += 1;
    }
    for (let id = 0; id < vocabSize; id++) {
      const p = weights[id] / sum;
      // Five standard deviations of a binomial, and one count for the rarest.
      const allowed = 5 * Math.sqrt(runs * p * (1 - p)) + 1;
      assert.ok(
        Math.abs(counts[id] - runs * p) <= allowed,
        `token ${id}: ${counts[id]} of ${runs}, probability ${p}`,
      );
    }
  });
});

engineTest("a low temperature comes to the most likely token", async () => {
  await withDecoder(2, {}, async (decoder) => {
    const expected = await Array.fromAsync(generate(decoder, PROMPT, greedy(8)));
    const options = { maxTokens: 8, temperature: 1e-4, seed: 7 };
    assert.deepEqual(await Array.fromAsync(generate(decoder, PROMPT, options)), expected);
  });
});

engineTest("any end-of-text token ends it and is not given out", async () => {
  let all: number[] = [];
  let stop: number | undefined;
  // Some models say one token over and over.
  let seed = -1;
  while (stop === undefined && ++seed < 20) {
    await withDecoder(seed, {}, async (decoder) => {
      all = await Array.fromAsync(generate(decoder, PROMPT, greedy(12)));
    });
    stop = all.find((id, i) => i > 0 && all.indexOf(id) === i);
  }
  assert.ok(stop !== undefined, `one token over and over: ${all}`);
  await withDecoder(seed, { eosTokenIds: [99_999, stop] }, async (decoder) => {
    const until = await Array.fromAsync(generate(decoder, PROMPT, greedy(12)));
    assert.deepEqual(until, all.slice(0, all.indexOf(stop)));
  });
});

engineTest(
  "prompt and text together stay within the positions, and a window is no limit",
  async () => {
    const count = async (change: Parameters<typeof withDecoder>[1]) => {
      let produced = -1;
      await withDecoder(4, change, async (decoder) => {
        produced = (await Array.fromAsync(generate(decoder, PROMPT, greedy(20)))).length;
      });
      return produced;
    };
    assert.equal(await count({ maxPositions: 64 }), 20);
    assert.equal(await count({ maxPositions: 12 }), 7);
    assert.equal(
      await count((a) => ({ ...withAttention(a, () => ({ window: 8 })), maxPositions: 12 })),
      7,
    );
    assert.equal(await count({ maxPositions: PROMPT.length }), 0);
  },
);

engineTest("a prompt without tokens, or with more than the model takes, is refused", async () => {
  await withDecoder(4, {}, async (decoder) => {
    await assert.rejects(Array.fromAsync(generate(decoder, [], greedy(1))), RangeError);
  });
  await withDecoder(4, { maxPositions: PROMPT.length - 1 }, async (decoder) => {
    const message = new RegExp(`has ${PROMPT.length} tokens.* takes ${PROMPT.length - 1}`);
    await assert.rejects(Array.fromAsync(generate(decoder, PROMPT, greedy(1))), message);
  });
});

engineTest("sequences that are sampled side by side are those that are sampled alone", async () => {
  for (let seed = 0; seed < 6; seed++) {
    // no token ends a text, so that both go on
    await withDecoder(seed, { eosTokenIds: [] }, async (decoder) => {
      const seeds = [7, 8, 7 + seed];
      const options = { start: 3, length: 12, temperature: 0.8 };
      const heard: number[] = [];
      const onProgress = (tokens: number) => heard.push(tokens);
      const found = await sampleSequences(decoder, { ...options, seeds, onProgress });
      assert.deepEqual(heard, Array.from({ length: 12 }, (_, i) => i + 1));
      for (const [row, own] of seeds.entries()) {
        const alone = await Array.fromAsync(
          generate(decoder, [3], { maxTokens: 12, temperature: 0.8, seed: own }),
        );
        assert.deepEqual(found[row], alone, `model ${seed}, row ${row}`);
      }
      assert.notDeepEqual(found[0], found[1]);
    });
  }
});
