import {
  CalibrationError,
  CheckpointFormatError,
  ExportError,
  InsufficientMemoryError,
  ResumeError,
  UnreachableTargetError,
  UsageError,
} from "@lopper/core";
import assert from "node:assert/strict";
import { explain, StorageError } from "./explain.ts";

const COMMAND_LINE = /--[a-z]/;

Deno.test("explain: a sentence for each kind of failure, without words of the command line", () => {
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [
      new InsufficientMemoryError("this run needs 9.0 GB; give it more with --memory", 9e9, 4.8e9),
      /^This model is too large for a browser tab: it needs 9\.0 GB of memory and may take 4\.8 GB here\./,
    ],
    [
      new UnreachableTargetError(95, 85.639, "what may go with --distribution auto is not enough"),
      /^95 % of the parameters cannot go; at most 85\.64 % can, with these settings\.$/,
    ],
    [
      new StorageError(3e9),
      /^This run needs 3\.0 GB of the browser's storage .* there is less; delete a run here/,
    ],
    [
      new CheckpointFormatError("there is no file config.json in this folder", { file: "smol" }),
      /^smol: there is no file config\.json in this folder\.$/,
    ],
    [new UsageError("is it so?"), /^is it so\?$/],
    [
      new CalibrationError(
        "notes.txt: the text has 9 tokens (give more text, or a smaller --seq-len)",
      ),
      /^notes\.txt: the text has 9 tokens \(give more text, or fewer tokens of a sample\)\.$/,
    ],
    [
      new ExportError("smol: a bias, and llama.cpp has none; export it with --to onnx"),
      /^smol: a bias, and llama\.cpp has none; save it as a folder\.$/,
    ],
    [
      new ExportError(
        "the logits differ, and 0.02 is allowed (--verify none writes it all the same)",
      ),
      /^the logits differ, and 0\.02 is allowed\.$/,
    ],
    [
      new ResumeError(
        "smol was begun by Lopper 0.2.0 and this is 0.3.0; start again with --overwrite",
      ),
      /^This run cannot go on: smol was begun by Lopper 0\.2\.0 and this is 0\.3\.0\. Delete it, and begin again\.$/,
    ],
    [new DOMException("", "QuotaExceededError"), /^The browser's storage is full\..*kept/],
    [new DOMException("", "NoModificationAllowedError"), /^Another tab works on this run/],
    [new RangeError("Array buffer allocation failed"), /^The browser has no more memory/],
    [new RangeError("Invalid array length"), /^The browser has no more memory/],
    [new TypeError("x is not a function"), /^Lopper has made a mistake: x is not a function\./],
    ["odd", /^Lopper has made a mistake: odd\./],
  ];
  for (const [error, sentence] of cases) {
    assert.match(explain(error), sentence);
    assert.doesNotMatch(explain(error), COMMAND_LINE);
    assert.doesNotMatch(explain(error), /\n/);
  }
});
