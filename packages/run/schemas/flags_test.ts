import { tinyArchitecture } from "@lopper/search/testing";
import assert from "node:assert/strict";
import { runFlags } from "../run_flags.ts";
import { flagsSchema } from "./flags.ts";

Deno.test("settings that are read have values that options give", () => {
  const flags = runFlags(tinyArchitecture(1), { model: "/m", heldOut: "/text" });
  const check = (change: object) => flagsSchema.safeParse({ ...flags, ...change });
  const taken = (change: object) => assert.ok(check(change).success, JSON.stringify(change));
  const refused = (change: object, place: string) =>
    assert.equal(check(change).error?.issues[0].path.join("."), place, JSON.stringify(change));
  taken({});
  taken({ distribution: "auto", ranking: "compensated", fastWithout: ["lazy", "reuse"] });
  taken({ export: "gguf", dtype: "fp16", quantize: "q8_0" });
  taken({ calibration: [{ path: "/a", weight: 1 }, { path: "self", weight: 0.5 }] });
  for (const name of ["constructor", "__proto__", "Lopper", ""]) {
    for (const key of ["preset", "ranking", "recover", "swap", "criterion", "search", "export"]) {
      refused({ [key]: name }, key);
    }
  }
  refused({ fastWithout: ["lazy", "speed"] }, "fastWithout.1");
  for (const shares of ["1:2", "", "a:b:c", "-1:1:1"]) {
    refused({ distribution: shares }, "distribution");
  }
  refused({ export: "gguf", quantize: "q4" }, "quantize");
  refused({ quantize: "q4" }, "quantize");
  refused({ export: "gguf", dtype: "fp8" }, "dtype");
  refused({ calibration: [{ path: "/a", weight: 0 }] }, "calibration.0.weight");
  refused({ calibration: [] }, "calibration");
});
