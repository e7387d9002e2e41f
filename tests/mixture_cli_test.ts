import assert from "node:assert/strict";
import { fails, inTemporaryFolder } from "./support/cli.ts";
import { checkSameResult } from "./support/kill.ts";
import { pruneHere, writeTinyRun } from "./support/tiny_run.ts";

Deno.test("--calibration, several times: a mixture by weights, recorded, and made again from its page", () =>
  inTemporaryFolder(async (folder) => {
    const text = (name: string, words: string, count: number) =>
      Deno.writeTextFile(
        `${folder}/${name}`,
        Array.from({ length: count }, (_, i) => `${JSON.stringify({ text: `${words} ${i}` })}\n`)
          .join(""),
      );
    await text(
      "sea.jsonl",
      "The whale swam away from the boat and the men rowed after it".repeat(3),
      20,
    );
    await text("land.jsonl", "She walked along the road to the village in the rain".repeat(3), 20);
    const root = await Deno.realPath(folder);
    const [sea, land] = [`${root}/sea.jsonl`, `${root}/land.jsonl`];
    const [model, , , ...settings] = await writeTinyRun(root);
    const prune = (out: string, ...parts: string[]) =>
      pruneHere([
        ...[model, "--out", `${root}/${out}`, ...settings, "--preset", "blockpruner"],
        ...["--ratio", "15", "--samples", "8", "--width-samples", "4"],
        ...parts.flatMap((part) => ["--calibration", part]),
      ]);
    await prune("reference", `${sea}=3`, land);
    const record = JSON.parse(await Deno.readTextFile(`${folder}/reference/run.json`));
    const named = [`${sea}=3`, `${land}=1`];
    const parts = [{ path: sea, weight: 3 }, { path: land, weight: 1 }];
    assert.deepEqual(record.flags.calibration, parts);
    const page = await Deno.readTextFile(`${folder}/reference/report.html`);
    for (const part of named) assert.ok(page.includes(`--calibration ${part}`), part);

    // the parts as recorded are the same text, another weight is another
    const digestOf = async (out: string) =>
      JSON.parse(await Deno.readTextFile(`${folder}/${out}/run.json`)).calibrationDigest;
    await prune("again", ...named);
    await checkSameResult(folder, "again");
    await prune("other", sea, land);
    assert.notDeepEqual(await digestOf("other"), await digestOf("reference"));
  }));

Deno.test("--calibration, several times: a weight of 0 and a missing file are refused", () =>
  inTemporaryFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/a.txt`, "some text\n");
    const prune = ["prune", "--calibration", "a.txt", "--calibration"];
    await fails(
      [...prune, "b.txt=0"],
      folder,
      2,
      /b\.txt=0 has the weight 0; it needs one above 0/,
    );
    await fails([...prune, "b.txt=2"], folder, 1, /b\.txt: there is no such file/);
  }));
