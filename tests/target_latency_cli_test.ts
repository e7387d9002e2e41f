import { latencyOf, type LatencyTable } from "@lopper/core";
import { shapeOfLayers } from "@lopper/models/testing";
import { DEMO_MODEL } from "@lopper/demo-model";
import { FileFolder } from "@lopper/files";
import { layersOfBlocks, openModel } from "@lopper/models";
import { type RunRecord } from "@lopper/run";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { inTemporaryFolder, PUBLISHED, QUICK } from "./support/cli.ts";
import { doneHere, failsHere, runHere } from "./support/in_process.ts";

const json = async (file: string) => JSON.parse(await Deno.readTextFile(file));

/** So much less than all of it that no machine is by chance as much faster. */
const SHARE = 3 / 4;

/** Which lines of a journal are steps. */
const stepsOf = (lines: readonly string[]) =>
  lines.flatMap((line, i) => line.startsWith('{"type":"step"') ? [i] : []);

/**
 * A run of several steps, asked for a share of what the model is predicted to take, whatever that is
 * here. A machine that does other things, too, may be faster the next time than that, or so nearly
 * that one step is enough: then the prediction of that time is what counts.
 * @returns the folder of the run, and the milliseconds that were asked for.
 */
async function begun(folder: string): Promise<{ readonly run: string; readonly target: number }> {
  let target = 100_000;
  for (let attempt = 0; attempt < 10; attempt++) {
    const run = `${folder}/p${attempt}`;
    const { code, stderr } = await runHere(
      [
        ...["prune", "--target-latency", String(target), "--best-effort", ...PUBLISHED],
        // What is taken does not matter here.
        ...["--samples", "1", "--width-samples", "1", "--seq-len", "32"],
        ...["--mlp-group", "256", "--out", run],
      ],
      folder,
    );
    if (code === 0) {
      const lines = (await Deno.readTextFile(`${run}/journal.jsonl`)).split("\n");
      if (stepsOf(lines).length > 1) return { run, target };
      target = (await json(`${run}/run.json`)).latency.predicted.dense * SHARE;
      continue;
    }
    assert.equal(code, 2, stderr);
    const said = stderr.match(
      /is predicted to take ([\d.]+) ms for a token already; it needs less/,
    );
    assert.ok(said, stderr);
    target = Number(said[1]) * SHARE;
  }
  throw new Error(`ten times a token took less than ${SHARE} of what it took just before`);
}

Deno.test("--target-latency: the search ends where its own table says so, and a resumed run believes that table", () =>
  inTemporaryFolder(async (folder) => {
    const { run, target } = await begun(folder);
    const record: RunRecord = await json(`${run}/run.json`);
    const settings = await json(`${run}/settings.json`);
    const table: LatencyTable = settings.latencies;
    const { architecture } = await openModel(new FileFolder(fileURLToPath(DEMO_MODEL)));
    const { amount } = latencyOf(table, architecture.blocks);
    const whole = layersOfBlocks(architecture);
    assert.deepEqual(record.layers.dense, whole);
    const latency = record.latency!;
    assert.equal(latency.target, target);
    assert.equal(latency.predicted.dense, amount(shapeOfLayers(architecture, whole)));
    assert.equal(
      latency.predicted.pruned,
      amount(shapeOfLayers(architecture, record.layers.pruned)),
    );
    assert.ok(latency.measured.dense > 0 && latency.measured.pruned > 0);
    assert.equal(record.frontier.at(-1)!.latency, latency.predicted.pruned);
    const before = record.frontier.at(-2)?.latency ?? latency.predicted.dense;
    assert.ok(before > target, "one step fewer would have been enough");

    // cut off in its middle, it goes on to the same plan, though nothing takes as long as before
    await Deno.mkdir(`${folder}/again`);
    await Deno.copyFile(`${run}/settings.json`, `${folder}/again/settings.json`);
    const lines = (await Deno.readTextFile(`${run}/journal.jsonl`)).split("\n");
    const steps = stepsOf(lines);
    const middle = steps[Math.ceil(steps.length / 2) - 1];
    await Deno.writeTextFile(
      `${folder}/again/journal.jsonl`,
      lines.slice(0, middle + 1).map((line) => line + "\n").join(""),
    );
    await doneHere(["prune", "--resume", "--out", "again"], folder);
    const plan = (of: string) => Deno.readTextFile(`${of}/lopper_plan.json`);
    assert.equal(await plan(`${folder}/again`), await plan(run));
    assert.deepEqual((await json(`${folder}/again/settings.json`)).latencies, table);
  }));

Deno.test("--target-latency: what makes no sense is refused", () =>
  inTemporaryFolder(async (folder) => {
    const refused = (args: readonly string[], says: RegExp, code: 1 | 2 = 2) =>
      failsHere(
        ["prune", "--out", `${folder}/p`, "--target-latency", ...args, ...QUICK],
        code,
        says,
      );
    await refused(["0.000001"], /the least that can be predicted is/, 1);
    await refused(["5", "--ratio", "5"], /both say where the search ends/);
    await refused(["5", "--target-bytes", "9MB"], /both say where the search ends/);
    await refused(["5", "--resume"], /begins a run/);
    await refused(["5", "--swap", "auto"], /--swap auto weighs parameters/);
  }));
