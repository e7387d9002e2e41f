import { ResumeError } from "@lopper/core";
import type { RunFlags } from "@lopper/run";
import assert from "node:assert/strict";
import { tinyRun } from "@lopper/report/testing";
import { checkNames } from "../apps/cli/folder/run_settings.ts";

Deno.test("settings that were read have names that options give", () => {
  const { flags } = tinyRun().record;
  const check = (change: Partial<RunFlags>, backend = "cpu") =>
    checkNames({ backend, flags: { ...flags, ...change } }, "x/settings.json");
  check({});
  check({ distribution: "auto", order: "compensated", fastWithout: "lazy,reuse" });
  check({ export: { format: "gguf", dtype: "fp16", quantize: "q8_0" } });
  check({ calibration: ["/a=1", "/b=2"], export: { format: "onnx", dtype: null, quantize: null } });
  const refused = (change: Partial<RunFlags>, place: RegExp, backend = "cpu") =>
    assert.throws(() => check(change, backend), (error) => {
      assert.ok(error instanceof ResumeError, String(error));
      assert.match(error.message, place);
      assert.match(error.message, /^x\/settings\.json: at \S+: [^\n]+$/);
      return true;
    });
  refused({}, /at backend/, "abacus");
  for (const name of ["constructor", "__proto__", "Lopper", ""]) {
    refused({ preset: name }, /at flags\.preset/);
    refused({ order: name }, /at flags\.order/);
    refused({ recover: name }, /at flags\.recover/);
    refused({ swap: name }, /at flags\.swap/);
    refused({ criterion: name }, /at flags\.criterion/);
    refused({ search: name }, /at flags\.search/);
    refused({ export: { format: name, dtype: null, quantize: null } }, /at flags\.export\.format/);
  }
  refused({ fastWithout: "lazy, reuse" }, /at flags\.fastWithout/);
  for (const shares of ["1:2", "", "a:b:c", "-1:1:1"]) {
    refused({ distribution: shares }, /at flags\.distribution/);
  }
  refused({ export: { format: "gguf", dtype: null, quantize: "q4" } }, /flags\.export\.quantize/);
  refused({ export: { format: "gguf", dtype: "fp8", quantize: null } }, /at flags\.export\.dtype/);
  refused({ calibration: ["/a=0"] }, /at flags\.calibration/);
});
