import { on, type Option, type OptionTable, text, wordsOf } from "@lopper/options";
import assert from "node:assert/strict";
import { saidOf } from "../commands.ts";
import { settingValues } from "../run_flags.ts";
import { SETTINGS } from "../presets.ts";
import { settingsShape } from "../schemas/flags.ts";
import { decidingSettings } from "../schemas/same_settings.ts";
import { RUN_OPTIONS } from "./run_options.ts";
import { isSetting, optional, setting } from "./setting.ts";
import { statedDefaults } from "./stated.ts";

const AT = {
  preset: SETTINGS.lopper,
  longest: 4096,
  groups: { mlp: 64, attention: 96, experts: null },
};
const TABLE: OptionTable = RUN_OPTIONS;

/** Whether everything that knows of settings knows of this one. */
function checkKnown(table: OptionTable, key: string) {
  const option = table[key];
  assert.ok(isSetting(option));
  const values = settingValues(table, {}, undefined, AT);
  assert.ok(key in settingsShape(table), `${key} has a schema`);
  assert.ok(key in values, `${key} has a value`);
  assert.ok(settingsShape(table)[key].safeParse(values[key]).success, `${key} fits its schema`);
  const known = settingValues(table, {}, { [key]: "saved" }, AT);
  assert.equal(known[key], "saved", `${key} is what the run to resume has`);
  const decided = decidingSettings(table, values).some(({ what }) => what === `the setting ${key}`);
  assert.equal(decided, option.decides !== "free", `${key} is compared where it decides`);
  assert.ok(key in saidOf(table, { ...values, preset: "lopper", targetLatency: null }, () => true));
}

Deno.test("options: what is a setting has a schema, a value, its place on resume and in the command", () => {
  const settings = Object.keys(TABLE).filter((key) => isSetting(TABLE[key]));
  assert.ok(settings.length > 20);
  for (const key of settings) checkKnown(TABLE, key);
});

Deno.test("options: a further one needs nothing but its entry", () => {
  const row = { help: "what a test says", decides: "same", alias: "--old-name" } as const;
  const table = {
    ...RUN_OPTIONS,
    newName: setting(text("word"), { ...row, usual: () => "usual" }),
    newPart: optional(text("word"), { ...row, decides: "free" }),
    newSwitch: setting(on, { ...row, usual: () => false }),
  };
  for (const key of ["newName", "newPart", "newSwitch"]) checkKnown(table, key);
  const given = { newName: "word", newPart: "part", newSwitch: true };
  const said = saidOf({ ...table }, { ...settingValues(table, given, undefined, AT) }, () => true);
  const added: OptionTable = {
    newName: table.newName,
    newPart: table.newPart,
    newSwitch: table.newSwitch,
  };
  const words = ["--new-name", "word", "--new-part", "part", "--new-switch"];
  assert.deepEqual(wordsOf(added, said), words);
  assert.equal((statedDefaults(table, {}).newName as Option<string>).stated, "usual");
});

Deno.test("options: the words of a value are read as that value", () => {
  const given: Readonly<Record<string, unknown>> = {
    ratio: 0.5,
    targetLatency: 12.5,
    distribution: "44:52:4",
    fastWithout: ["lazy", "reuse"],
    maxPplIncrease: 0.25,
    calibration: [{ path: "/a", weight: 1 }, { path: "/b=2", weight: 0.5 }],
    calibrationWidth: [{ path: "/b=2", weight: 1 }],
    seed: 2 ** 32 - 1,
    export: "gguf",
    memory: "4GB",
  };
  for (const [key, value] of Object.entries(given)) {
    const { form } = TABLE[key];
    const read = form.words(value).map((word) => form.parse(word, { absolute: (path) => path }));
    assert.deepEqual(form.isList ? read.flat() : read[0], value, key);
  }
});
