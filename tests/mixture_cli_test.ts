import assert from "node:assert/strict";
import { done, fails, inTemporaryFolder, QUICK } from "./support/cli.ts";
import { checkSameResult } from "./support/kill.ts";

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
    const mixed = ["--calibration", "sea.jsonl=3", "--calibration", "land.jsonl"];
    const settings = [...QUICK, "--preset", "blockpruner", "--ratio", "5"];
    const more = ["--samples", "8", "--width-samples", "4"];
    await done(["prune", "--out", "reference", ...settings, ...more, ...mixed], folder);
    const record = JSON.parse(await Deno.readTextFile(`${folder}/reference/run.json`));
    const root = await Deno.realPath(folder);
    const named = [`${root}/sea.jsonl=3`, `${root}/land.jsonl=1`];
    assert.deepEqual(record.flags.calibration, named);
    const page = await Deno.readTextFile(`${folder}/reference/report.html`);
    for (const part of named) assert.ok(page.includes(`--calibration ${part}`), part);

    // the parts as recorded are the same text, another weight is another
    const digestOf = async (out: string) =>
      JSON.parse(await Deno.readTextFile(`${folder}/${out}/run.json`)).calibrationDigest;
    const recorded = named.flatMap((part) => ["--calibration", part]);
    await done(["prune", "--out", "again", ...settings, ...more, ...recorded], folder);
    await checkSameResult(folder, "again");
    const other = ["--calibration", "sea.jsonl", "--calibration", "land.jsonl"];
    await done(["prune", "--out", "other", ...settings, ...more, ...other], folder);
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
