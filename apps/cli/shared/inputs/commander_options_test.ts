import { choice, off, on, type OptionTable, percent, text, texts } from "@lopper/options";
import { Command, CommanderError } from "commander";
import assert from "node:assert/strict";
import { addOptions } from "./commander_options.ts";

const TABLE = {
  recover: { form: text("name"), help: "fit what stays", alias: "--repair", stated: "auto" },
  files: { form: texts("file"), help: "to read", without: ["a"] },
  ratio: { form: percent(100), help: "to remove", conflicts: ["recover"] },
  bos: { form: off, help: "leave it out", without: true },
  json: { form: on, help: "print JSON" },
  start: {
    form: choice("which", ["each", "none"]),
    help: "what begins",
    without: "each",
    alias: { flag: "--no-start", value: "none" },
  },
  out: { form: text("dir"), help: "folder", isNeeded: true },
} as const satisfies OptionTable;

const command = () =>
  addOptions(new Command("test").exitOverride(), TABLE).configureOutput({
    writeErr: () => {},
  });
const parsed = (...words: string[]) =>
  command().parse(["--out", "x", ...words], { from: "user" }).opts();

Deno.test("options of a table are those of a command, with what is taken without them", () => {
  assert.deepEqual(parsed(), { out: "x", files: ["a"], bos: true, start: "each" });
  const all = ["--recover", "none", "--files", "b", "--files", "c", "--no-bos", "--json"];
  const given = { out: "x", recover: "none", files: ["b", "c"], bos: false, json: true };
  assert.deepEqual(parsed(...all), { ...given, start: "each" });
});

Deno.test("options: an earlier name means the same, and no help names it", () => {
  assert.deepEqual(parsed("--repair", "none"), parsed("--recover", "none"));
  assert.deepEqual(parsed("--no-start"), parsed("--start", "none"));
  const help = command().helpInformation();
  for (const flag of ["--recover <name>", "--files <file>", "--no-bos", "--json", "--out <dir>"]) {
    assert.ok(help.includes(flag), flag);
  }
  assert.match(help, /fit what stays \(default: auto\)/);
  assert.ok(!help.includes("--repair") && !help.includes("--no-start"));
});

Deno.test("options: what a value needs to be, what is missing and what contradicts is said", () => {
  const refused = (words: string[], message: RegExp) =>
    assert.throws(() => command().parse(words, { from: "user" }), (error) => {
      assert.ok(error instanceof CommanderError, String(error));
      assert.match(error.message, message);
      return true;
    });
  refused([], /required option '--out <dir>' not specified/);
  refused(["--out", "x", "--ratio", "0"], /'--ratio <percent>' argument '0' is invalid.*above 0/);
  refused(["--out", "x", "--ratio", "1", "--repair", "a"], /cannot be used with option/);
});
