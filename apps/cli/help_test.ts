import { DEFAULT_WINDOW } from "@lopper/evaluation";
import { architectureOfLayers } from "@lopper/models/testing";
import { FORMAT_NAMES, formatFacts } from "@lopper/exports";
import { memoryBudget } from "@lopper/options";
import { type GivenRunOptions, SETTINGS, type SettingsName } from "@lopper/run";
import { defaultMlpGroup } from "@lopper/search";
import type { Command, Option } from "commander";
import assert from "node:assert/strict";
import { lopperProgram } from "./program.ts";
import { resolveFlags } from "./prune/resolve_flags.ts";

const WIDTH = 11_008;
const ARCHITECTURE = architectureOfLayers(
  [{ attention: { queryHeads: 32, kvHeads: 8 }, mlp: { intermediateSize: WIDTH } }],
  // longer than any sequence that is a default
  { hiddenSize: 2048, headDim: 64, vocabSize: 32_000, maxPositions: 8192, tiedEmbeddings: false },
);

/** What an option's help says of its default; null where it says nothing. */
function statedDefault({ description, defaultValue }: Option): string | null {
  if (defaultValue !== undefined) return String(defaultValue);
  return /\(default: (.*)\)$/.exec(description)?.[1] ?? null;
}

function optionsOf(command: string): Map<string, Option> {
  const found = lopperProgram().commands.find((c) => c.name() === command)!;
  return new Map(found.options.map((option) => [option.attributeName(), option]));
}

/** Names and numbers of a sentence. */
const wordsOf = (text: string) => text.split(/[^\w.]+/);

Deno.test("help of prune: each default is what a run takes, and each number in it one that some run takes", () => {
  const runs: [string | null, SettingsName | undefined][] = [
    ["model", undefined],
    [null, undefined],
    ...(Object.keys(SETTINGS) as SettingsName[]).map((
      preset,
    ): [string, SettingsName] => ["model", preset]),
  ];
  const taken = new Map<string, Set<string>>();
  for (const [source, preset] of runs) {
    const options = { ...(preset && { preset }) };
    for (
      const [name, value] of Object.entries(resolveFlags(options, source, ARCHITECTURE, undefined))
    ) {
      // what is off, or the model's own, is no default to tell
      if (value === null || value === false || value === "" || typeof value === "object") continue;
      taken.set(name, (taken.get(name) ?? new Set()).add(String(value)));
    }
  }
  const options = optionsOf("prune");
  const own = resolveFlags({}, "model", ARCHITECTURE, undefined);
  // These depend on the model, and one has no option.
  const apart = ["model", "mlpGroup", "attentionGroup", "batchTokens"];
  for (const [name, values] of taken) {
    if (apart.includes(name)) continue;
    const option = options.get(name);
    assert.ok(option, `${name} has an option`);
    const stated = statedDefault(option) ?? "";
    assert.equal(wordsOf(stated)[0], String(own[name as keyof typeof own]), option.long!);
    for (const number of stated.match(/\b\d+\b/g) ?? []) {
      assert.ok(values.has(number), `${option.long} says ${number}; runs take ${[...values]}`);
    }
    if (typeof own[name as keyof typeof own] !== "number") continue;
    for (const value of values) {
      assert.ok(wordsOf(stated).includes(value), `${option.long} says ${stated}, not ${value}`);
    }
  }
  const [, groups] = /1\/(\d+)/.exec(statedDefault(options.get("mlpGroup")!)!)!;
  assert.equal(Math.round(WIDTH / defaultMlpGroup(ARCHITECTURE, Number(groups))), Number(groups));
  // A plan's file is applied as it is.
  const applied = resolveFlags({ plan: "p" }, "model", ARCHITECTURE, undefined);
  const recover = statedDefault(options.get("recover")!)!;
  assert.match(recover, new RegExp(`; ${applied.recover} [^;]*for the file of --plan`));
});

Deno.test("help of other commands: defaults are those of the code", () => {
  const memory = `${memoryBudget(undefined, 100)} % of what is free`;
  for (const command of ["prune", "evaluate", "compare"]) {
    assert.equal(statedDefault(optionsOf(command).get("memory")!), memory, command);
  }
  for (const command of ["evaluate", "compare"]) {
    const stated = statedDefault(optionsOf(command).get("seqLen")!)!;
    assert.deepEqual(stated.match(/\d+/g), [String(DEFAULT_WINDOW)]);
  }
  for (const command of ["prune", "export"]) {
    const stated = statedDefault(optionsOf(command).get("dtype")!)!;
    for (const name of FORMAT_NAMES) {
      const { dtype } = formatFacts(name);
      assert.ok(stated.includes(`${name} ${dtype ?? "as they are"}`), stated);
    }
  }
});

/** Words of a line as a shell has them; quotes keep words together. */
function shellWords(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain);
}

/** The command lines of a help text; what stands behind two spaces is a comment. */
function examplesOf(command: Command): string[] {
  let text = "";
  command.configureOutput({ writeOut: (part) => text += part }).outputHelp();
  return text.split("\n").filter((line) => line.startsWith("  lopper "))
    .map((line) => line.trim().split(/ {2,}/)[0]);
}

Deno.test("every example in a help text is a call that the command line takes", async () => {
  for (const command of lopperProgram().commands) {
    if (command.name() === "measure-speed") continue;
    const examples = examplesOf(command);
    assert.ok(examples.length > 0, command.name());
    for (const call of examples.flatMap((line) => line.split(" && "))) {
      const [program, ...args] = shellWords(call);
      assert.equal(program, "lopper");
      const rehearsal = lopperProgram();
      const called: string[] = [];
      for (const c of rehearsal.commands) {
        c.configureOutput({ writeErr: () => {} }).action((...given: unknown[]) => {
          called.push(c.name());
          const [path, options] = given;
          if (c.name() !== "prune") return;
          resolveFlags(options as GivenRunOptions, path as string ?? null, ARCHITECTURE, undefined);
        });
      }
      await rehearsal.parseAsync(args, { from: "user" });
      assert.equal(called.length, 1, call);
    }
  }
});

Deno.test("help of prune: an earlier name of an option is taken, and no help names it", () => {
  for (const [earlier, name, word] of [["--order", "ranking", "energy"]]) {
    const command = lopperProgram().commands.find((c) => c.name() === "prune")!;
    command.parseOptions([earlier, word]);
    assert.equal(command.opts()[name], word);
    assert.ok(!command.helpInformation().includes(`${earlier} `), earlier);
    assert.ok(command.helpInformation().includes(`--${name} <`), name);
  }
});
