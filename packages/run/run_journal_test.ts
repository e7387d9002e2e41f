import { ResumeError } from "@lopper/core";
import type { JournalEntry } from "@lopper/search";
import { tinyArchitecture } from "@lopper/search/testing";
import assert from "node:assert/strict";
import { runFlags } from "./run_flags.ts";
import { RunJournal } from "./run_journal.ts";
import type { RunSettings } from "./schemas/settings.ts";

const digest = (digit: string) => `sha256:${digit.repeat(64)}`;
const SETTINGS: RunSettings = {
  kind: "lopper-run-settings",
  schema: 3,
  version: "0.3.0",
  modelDigest: digest("a"),
  calibrationDigest: { block: digest("b"), width: digest("c") },
  backend: "cpu",
  flags: runFlags(tinyArchitecture(1), {}),
};
const recoveryTest = (steps: number, kept: boolean): JournalEntry => ({
  type: "recovery",
  steps,
  before: [4, 4],
  after: [3, 4],
  kept,
  cost: { blockTokens: 1, seconds: 0.5 },
});
const ENTRIES = [1, 2, 3, 4].map((steps) => recoveryTest(steps, true));

async function lines(settings: RunSettings, entries: readonly JournalEntry[] = ENTRIES) {
  const journal = await RunJournal.begin("x", settings);
  const written: string[] = [];
  for (const entry of entries) written.push(await journal.add(entry));
  return written;
}

const FILE = "at/journal.jsonl";

function read(lines: readonly string[]): Promise<RunJournal> {
  return RunJournal.read(FILE, lines, SETTINGS);
}

Deno.test("journal: what was added is read back, and goes on", async () => {
  const all = await lines(SETTINGS);
  for (let whole = 0; whole < all.length; whole++) {
    const journal = await read(all.slice(0, whole));
    assert.deepEqual(journal.history.refits, ENTRIES.slice(0, whole));
    assert.equal(journal.last === null, whole === 0);
    assert.equal(await journal.add(ENTRIES[whole]), all[whole]);
    assert.deepEqual(journal.history.refits, ENTRIES.slice(0, whole + 1));
    assert.ok(journal.has(journal.last!));
  }
  // a run that is taken further, exported, or has its model somewhere else, has the same journal
  const { flags } = SETTINGS;
  for (
    const change of [{ ratio: 30, earlierRatios: [20] }, { model: "/elsewhere" }, {
      export: "onnx" as const,
    }]
  ) {
    const moved = await lines({ ...SETTINGS, flags: { ...flags, ...change } });
    assert.deepEqual(moved, all);
  }
});

Deno.test("journal: a line that was changed, moved, taken out or put in is refused by its number", async () => {
  const all = await lines(SETTINGS);
  const refused = (changed: readonly string[], line: number) =>
    assert.rejects(read(changed), (error) => {
      assert.ok(error instanceof ResumeError, String(error));
      assert.match(
        error.message,
        new RegExp(`journal\\.jsonl, line ${line}: it was changed, or `),
      );
      assert.ok(!error.message.includes("\n"));
      return true;
    });
  await refused(all.with(1, all[1].replace('"kept":true', '"kept":false')), 2);
  await refused(all.with(2, all[2].replace('"before":[4', '"before":[5')), 3);
  await refused(all.with(2, all[2].replace(/,"checksum":"\w+"/, "")), 3);
  await refused(all.with(3, ""), 4);
  await refused(all.toSpliced(1, 1), 2);
  await refused(all.slice(1), 1);
  await refused(all.toSpliced(2, 0, all[1]), 3);
  await refused([all[0], all[2], all[1], all[3]], 2);
  for (const [i, line] of all.entries()) {
    for (let at = 0; at < line.length; at += 7) {
      const changed = line.slice(0, at) + (line[at] === "1" ? "2" : "1") + line.slice(at + 1);
      await refused(all.with(i, changed), i + 1);
    }
  }
});

Deno.test("journal: lines of a run with other settings do not follow, be they whole", async () => {
  const all = await lines(SETTINGS);
  const { flags } = SETTINGS;
  const others: RunSettings[] = [
    { ...SETTINGS, modelDigest: digest("d") },
    { ...SETTINGS, backend: "wasm" },
    { ...SETTINGS, version: "0.1.0" },
    { ...SETTINGS, plan: { source: "/p", ratio: null, digest: digest("e") } },
    { ...SETTINGS, extendedDigest: digest("f") },
    { ...SETTINGS, flags: { ...flags, seed: 43 } },
    { ...SETTINGS, flags: { ...flags, criterion: "perplexity" } },
    {
      ...SETTINGS,
      latencies: {
        ...{ pastTokens: 1, rounds: 1, rest: 1 },
        curves: [{ kind: "mlp", unitWidth: 1, sizes: [1], ms: [1] }],
      },
    },
  ];
  for (const settings of others) {
    const foreign = await lines(settings);
    for (
      const spliced of [foreign, [foreign[0], ...all.slice(1)], [...all.slice(0, 3), foreign[3]]]
    ) {
      const line = spliced[0] === foreign[0] ? 1 : 4;
      const message = line === 1 ? /line 1: .*is not of the run that settings\.json/ : /line 4: /;
      await assert.rejects(read(spliced), message);
    }
  }
});
