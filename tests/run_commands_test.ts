import assert from "node:assert/strict";
import { tinyRun } from "@lopper/report/testing";
import { runCommands } from "../apps/cli/shared/reporting/run_commands.ts";

// Whether they make the same run is asked in tests/interop/report_commands_test.ts.

const { record } = tinyRun();
const withFlags = (flags: Partial<typeof record.flags>) =>
  runCommands({ ...record, flags: { ...record.flags, ...flags } });

Deno.test("commands: everything that decided a run is said", () => {
  assert.deepEqual(runCommands(record), [
    "deno task prune /models/tiny --ratio 20 --preset multipruner --distribution 44:52:4 --mlp-group 16 " +
    "--attention-group 32 --ranking l1 --recover none --swap none --criterion perplexity --search fast --held-out /texts/held_out.txt --samples 4 " +
    "--width-samples 2 --seq-len 64 --bos each --seed 42 --backend cpu --threads 2 --out again",
  ]);
  const [line] = withFlags({
    model: null,
    preset: "blockpruner",
    fastWithout: ["racing", "lazy"],
    maxPplIncrease: 10,
    bestEffort: true,
    uniform: true,
    calibration: [{ path: "/my texts/it's.txt", weight: 1 }],
    export: "gguf",
    quantize: "q8_0",
  });
  assert.match(line, /^deno task prune --ratio 20 --preset blockpruner --uniform --mlp-group/);
  assert.match(line, /--fast-without racing,lazy --max-ppl-increase 10 --best-effort /);
  assert.ok(line.includes(`--calibration '/my texts/it'\\''s.txt' `), line);
  assert.match(line, / --out again --export gguf --quantize q8_0$/);
});

Deno.test("commands: a run that was extended has one for each of its ratios", () => {
  const [first, second, third, ...others] = withFlags({ earlierRatios: [5, 10] });
  assert.match(first, /--ratio 5 .* --out again$/);
  assert.equal(second, "deno task prune --resume --ratio 10 --out again");
  assert.equal(third, "deno task prune --resume --ratio 20 --out again");
  assert.deepEqual(others, []);
});

Deno.test("commands: a plan needs no settings of a search, and its ratio only where it is a run's folder", () => {
  const [file] = runCommands({ ...record, plan: "plan.json", frontier: [] });
  assert.match(
    file,
    /^deno task prune \/models\/tiny --plan plan\.json --ranking l1 --recover none --criterion perplexity --held-out/,
  );
  assert.doesNotMatch(file, /--ratio|--preset|--search|--max-ppl/);
  const [folder] = runCommands({ ...record, plan: "./run" });
  assert.match(folder, /--plan \.\/run --ratio 21\.5 --ranking l1 --recover none /);
});
