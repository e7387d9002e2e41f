import { allKept, planOfKept } from "@lopper/core";
import { DEMO_MODEL } from "@lopper/demo-model";
import { FileFolder, FileSink } from "@lopper/files";
import { type ImportanceEntry, writeImportanceMatrix } from "@lopper/formats";
import { modelDigest, openModel, planToJson } from "@lopper/models";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { inTemporaryFolder } from "../../../../tests/support/cli.ts";
import { doneHere, failsHere } from "../../../../tests/support/in_process.ts";
import { importanceSource } from "./quantised_source.ts";

Deno.test("cli: an importance matrix goes beside the export, by the plan beside the model", () =>
  inTemporaryFolder(async (folder) => {
    const model = await openModel(new FileFolder(fileURLToPath(DEMO_MODEL)));
    const { architecture } = model;
    const entry = (length: number): ImportanceEntry => ({
      squares: Float32Array.from({ length }, (_, i) => i),
      counts: Float32Array.of(7),
    });
    const write = async (file: string, entries: ReadonlyMap<string, ImportanceEntry>) => {
      const sink = await FileSink.open(`${folder}/${file}`);
      await writeImportanceMatrix(sink, { entries, metadata: null, ending: new Uint8Array() });
      await sink.commit();
    };
    const own = new Map([["blk.1.ffn_up.weight", entry(architecture.hiddenSize)]]);
    await write("m.dat", own);
    await write("other.dat", new Map([...own, ["blk.0.ssm_in.weight", entry(4)]]));
    const digest = await modelDigest(model);
    const plan = planOfKept(architecture, allKept(architecture.blocks), {
      ...{ modelDigest: digest, removalOrder: [] },
    });
    assert.equal((await importanceSource(`${folder}/m.dat`, folder)).plan, null);
    await Deno.writeTextFile(`${folder}/lopper_plan.json`, planToJson(plan));
    assert.deepEqual((await importanceSource(`${folder}/m.dat`, folder)).plan, plan);
    model[Symbol.dispose]();

    const command = (to: string, file: string) => [
      ...["export", "demo", "--to", to, "--imatrix", `${folder}/${file}`],
      ...["--verify", "none", "--out", `${folder}/x`],
    ];
    await failsHere(command("onnx", "m.dat"), 2, /--imatrix goes with --to gguf/);
    await failsHere(command("gguf", "other.dat"), 1, /"blk\.0\.ssm_in\.weight" is of no matrix/);
    await doneHere(command("gguf", "m.dat"));
    const files = [...Deno.readDirSync(`${folder}/x`)].map(({ name }) => name);
    const beside = files.find((name) => name.endsWith(".imatrix"))!;
    assert.deepEqual(
      await Deno.readFile(`${folder}/x/${beside}`),
      await Deno.readFile(`${folder}/m.dat`),
    );
  }));
