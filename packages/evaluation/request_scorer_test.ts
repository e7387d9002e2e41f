import { withAttention } from "@lopper/models/testing";
import { openBackend } from "@lopper/backends";
import { denseShape, fullyAttended } from "@lopper/core";
import { type Model, openModel } from "@lopper/models";
import { FileFolder } from "@lopper/files";
import { Decoder, LaidOutWeights } from "@lopper/runtime";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { TokenRequest } from "./encode.ts";
import { evaluateTask, prepareTask } from "./evaluate_task.ts";
import { type QuestionScores, RequestScorer, type RequestScorerOptions } from "./request_scorer.ts";
import { CASES, DEMO, questionsOf, taskNamed, testTokenizer } from "./testing/cases.ts";
import { TASKS } from "./tasks/mod.ts";

const FAMILIES = fileURLToPath(new URL("../../tests/fixtures/families", import.meta.url));

function engineTest(
  name: string,
  path: string,
  fn: (decoder: Decoder, model: Model) => Promise<void>,
) {
  Deno.test({
    name: `request scorer: ${name}`,
    // The engine keeps a thread pool for the life of the process.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const { backend } = await openBackend("cpu", { threads: 1 });
      const model = await openModel(new FileFolder(path));
      const weights = await LaidOutWeights.load(model);
      const decoder = new Decoder(backend, weights);
      try {
        await fn(decoder, model);
      } finally {
        await decoder.dispose();
        await backend[Symbol.asyncDispose]();
        model[Symbol.dispose]();
      }
    },
  });
}

/** Scores by question. */
async function scoresOf(
  decoder: Decoder,
  questions: readonly (readonly TokenRequest[])[],
  options?: RequestScorerOptions,
): Promise<readonly QuestionScores["scores"][]> {
  const found: QuestionScores["scores"][] = [];
  for await (const batch of new RequestScorer(decoder, options).score(questions)) {
    for (const { question, scores } of batch) found[question] = scores;
  }
  return found;
}

const gap = (
  a: readonly QuestionScores["scores"][],
  b: readonly QuestionScores["scores"][],
) =>
  Math.max(
    ...a.flatMap((scores, q) =>
      scores.map(({ logLikelihood }, i) => Math.abs(logLikelihood - b[q][i].logLikelihood))
    ),
  );

engineTest(
  "log-likelihoods and metrics are those of the harness on PyTorch",
  DEMO,
  async (decoder) => {
    using tokenizer = await testTokenizer("demo");
    for (const { name } of TASKS) {
      const wanted = CASES.tasks[name];
      const options = { maxLength: decoder.architecture.maxPositions, addSpecialTokens: true };
      const prepared = await prepareTask(taskNamed(name), questionsOf(name), tokenizer, options);
      const result = await evaluateTask(new RequestScorer(decoder), prepared);
      wanted.scores.forEach((scores, q) =>
        scores.forEach(([logLikelihood, greedy], i) => {
          const found = result.scores[q][i];
          const off = Math.abs(found.logLikelihood - logLikelihood);
          assert.ok(off < 1e-3, `${name} ${q} ${i}: off by ${off}`);
          assert.equal(found.greedy, greedy);
        })
      );
      for (const metric of taskNamed(name).metrics) {
        const { value } = result.metrics[metric]!;
        const { value: expected } = wanted.metrics[metric];
        assert.ok(Math.abs(value - expected) <= 1e-4 * expected, `${name} ${metric} ${value}`);
      }
    }
  },
);

engineTest("what is known is not scored again, and what is new is told", DEMO, async (decoder) => {
  using tokenizer = await testTokenizer("demo");
  const options = { maxLength: decoder.architecture.maxPositions, addSpecialTokens: true };
  const prepared = await prepareTask(taskNamed("piqa"), questionsOf("piqa"), tokenizer, options);
  const told: number[] = [];
  const known = new Map([[1, [{ logLikelihood: -1, greedy: false }, {
    logLikelihood: -2,
    greedy: false,
  }]]]);
  const onScored = (scored: readonly QuestionScores[]) => {
    told.push(...scored.map(({ question }) => question));
  };
  const result = await evaluateTask(new RequestScorer(decoder), prepared, { known, onScored });
  assert.deepEqual(told.sort(), [0, 2, 3]);
  assert.equal(result.scores[1][0].logLikelihood, -1);
  assert.equal(result.outcomes.acc![1], 0);
});

/** Questions of random tokens: answers of several lengths, some of which begin alike. */
function randomQuestions(vocabulary: number): readonly (readonly TokenRequest[])[] {
  let state = 7;
  const random = (n: number) => (state = (state * 48271) % 2147483647) % n;
  const tokens = (n: number) => Array.from({ length: n }, () => random(vocabulary));
  return Array.from({ length: 9 }, (_, q) => {
    const context = tokens(1 + random(12));
    if (q % 3 === 2) {
      const rest = tokens(1 + random(6));
      return [{ tokens: [...context, ...rest], scored: rest.length }];
    }
    const shared = tokens(random(3));
    return Array.from({ length: 2 + random(3) }, () => {
      const rest = [...shared, ...tokens(1 + random(5))];
      return { tokens: [...context, ...rest], scored: rest.length };
    });
  });
}

for (
  const family of [
    "llama-mqa",
    "qwen3",
    "llama-odd-head",
    "llama-missing-blocks",
    "mistral-sliding",
  ]
) {
  engineTest(
    `${family}: sharing and batching change nothing`,
    `${FAMILIES}/${family}`,
    async (decoder) => {
      const questions = randomQuestions(decoder.architecture.vocabSize);
      const together = await scoresOf(decoder, questions);
      const singly = await scoresOf(decoder, questions, { batchTokens: 1 });
      const apart: QuestionScores["scores"][] = [];
      for (const requests of questions) {
        const scores = await scoresOf(decoder, requests.map((request) => [request]));
        apart.push(scores.map(([score]) => score));
      }
      assert.ok(gap(together, apart) < 1e-4, `together ${gap(together, apart)}`);
      assert.ok(gap(singly, apart) < 1e-4, `singly ${gap(singly, apart)}`);
      const greedy = (all: typeof together) => all.map((s) => s.map((score) => score.greedy));
      assert.deepEqual(greedy(together), greedy(apart));
    },
  );
}

engineTest(
  "beyond a window, each layer sees what it says itself",
  `${FAMILIES}/mistral-sliding`,
  async (decoder, model) => {
    const { architecture, backend } = decoder;
    const shape = denseShape(decoder.blocks).with(2, null);
    const long = randomQuestions(architecture.vocabSize).map(([{ tokens }]) => [
      { tokens: [...tokens, ...tokens, ...tokens, 1, 2, 3, 4, 5, 6], scored: 3 },
    ]);
    assert.ok(long.every(([{ tokens }]) => tokens.length > fullyAttended(architecture)!));
    const scores = async (...windows: readonly (number | null)[]) => {
      const changed = withAttention(architecture, (layer) => ({ window: windows[layer] }));
      const described = { ...model, architecture: changed };
      const weights = await LaidOutWeights.load(described);
      await using decoder = new Decoder(backend, weights);
      const found = await scoresOf(decoder, long, { shape });
      return found;
    };
    const window = fullyAttended(architecture);
    const everywhere = await scores(window, window);
    const nowhere = await scores(null, null);
    // The attention of layer 1 does not run: what its window is does not matter.
    assert.ok(gap(await scores(null, window), nowhere) < 1e-4);
    assert.ok(gap(await scores(window, null), everywhere) < 1e-4);
    assert.ok(gap(everywhere, nowhere) > 1e-2, "the window makes a difference");
  },
);

engineTest("answers share the context's block-tokens", DEMO, async (decoder) => {
  const context = Array.from({ length: 40 }, (_, i) => 100 + i);
  const requests = [1, 2, 3, 4].map((last) => ({ tokens: [...context, last, 9], scored: 2 }));
  const blocks = decoder.blocks.length;
  const before = decoder.blockTokens;
  await scoresOf(decoder, [requests]);
  const spent = decoder.blockTokens - before;
  // 44 nodes, 5 of which the head reads
  const head = spent - 44 * blocks;
  assert.ok(head > 0 && head < 5 * blocks, `${spent} block-tokens`);
});
