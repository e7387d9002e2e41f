import { ResumeError } from "@lopper/core";
import type { TokenRequest } from "@lopper/evaluation";
import assert from "node:assert/strict";
import { join } from "node:path";
import { EvaluationLog } from "./evaluation_log.ts";

const REQUESTS: TokenRequest[][] = [[1], [2], [3]].map((context) => [
  { context, continuation: [4, 5] } as unknown as TokenRequest,
]);
const WINDOWS = [[1, 2], [3, 4]];

async function inFolder(body: (path: string) => Promise<void>) {
  const folder = await Deno.makeTempDir({ prefix: "lopper-test-" });
  try {
    await body(join(folder, "scores.jsonl"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What a log at a path knows. */
async function known(path: string) {
  const log = await EvaluationLog.open(path);
  try {
    const of = log.of("m", "cpu");
    const { known: questions } = await of.questions("t", REQUESTS);
    const { known: windows } = await of.windows("w", WINDOWS);
    return [[...questions.keys()].sort(), Object.fromEntries(windows)];
  } finally {
    log.close();
  }
}

async function written(path: string) {
  const log = await EvaluationLog.open(path);
  const of = log.of("m", "cpu");
  const questions = await of.questions("t", REQUESTS);
  const scores = [{ logLikelihood: -1.5, greedy: true }];
  await questions.append([{ question: 0, scores }, { question: 2, scores }]);
  await (await of.windows("w", WINDOWS)).append(1, 3.25);
  log.close();
  return (await Deno.readTextFile(path)).split("\n").slice(0, -1);
}

Deno.test("evaluation log: scores are known again, in any order, and none that is not there", () =>
  inFolder(async (path) => {
    const lines = await written(path);
    assert.equal(lines.length, 3);
    assert.deepEqual(await known(path), [[0, 2], { 1: 3.25 }]);
    await Deno.writeTextFile(path, [lines[2], lines[0], lines[0], ""].join("\n"));
    assert.deepEqual(await known(path), [[0], { 1: 3.25 }]);
  }));

Deno.test("evaluation log: a score that was changed, or has no checksum, is refused by its line", () =>
  inFolder(async (path) => {
    const lines = await written(path);
    const refused = async (line: string, message: RegExp) => {
      await Deno.writeTextFile(path, [lines[0], line, ""].join("\n"));
      await assert.rejects(EvaluationLog.open(path), (error) => {
        assert.ok(error instanceof ResumeError, String(error));
        assert.match(error.message, message);
        assert.ok(!error.message.includes("\n"));
        return true;
      });
    };
    const changed = /scores\.jsonl, line 2: it was changed, or is of an earlier version/;
    await refused(lines[2].replace("3.25", "3.5"), changed);
    await refused(lines[1].replace("-1.5", "-1.25"), changed);
    await refused(lines[1].replace("true", "false"), changed);
    await refused(lines[2].replace(/,"checksum":"\w+"/, ""), changed);
    await refused(lines[2].slice(0, -5), changed);
    await refused('{"text": "my own"}', /line 2: not a score of an evaluation/);
    await refused("", /line 2: not a score of an evaluation/);
  }));
