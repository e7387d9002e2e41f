/**
 * What a quantised source loses on its way through Lopper: decoded to F16, pruned, and quantised
 * again.
 */
import { HELD_OUT_TEXT } from "@lopper/demo-model";
import { fileURLToPath } from "node:url";
import { inTemporaryFolder, lopper, printTable, save } from "./harness.ts";

/**
 * Little calibration text: what is compared is the quantisation of one and the same pruned model.
 */
const PRUNING = "--ratio 10 --distribution auto --samples 8 --width-samples 4 --seq-len 256"
  .split(" ");
const SEQUENCE_LENGTH = "1024";
/** Types of llama.cpp, rounded to the nearest or by what enters a matrix on the embedded text. */
const WAYS = [
  ...["q8_0", "q6_k", "q5_k", "q4_k", "q4_1", "q4_0"].map((type) => ({
    type,
    rounding: "nearest",
  })),
  ...["q4_k", "q4_0"].map((type) => ({ type, rounding: "gptq" })),
];

interface Row {
  readonly model: "dense" | "pruned";
  /** What its matrices were last rounded to: "as it is" is what Lopper reads from the source. */
  readonly type: string;
  readonly rounding: string | null;
  readonly bytes: number;
  readonly perplexity: number;
  readonly bitsPerByte: number;
}

/** @param gguf a quantised GGUF file. */
export async function benchRequantise(gguf: string): Promise<void> {
  const text = fileURLToPath(HELD_OUT_TEXT);
  const rows = await inTemporaryFolder(async (folder) => {
    const pruned = `${folder}/pruned`;
    await lopper(["prune", gguf, ...PRUNING, "--out", pruned]);
    const found: Row[] = [];
    for (const [model, source] of [["dense", gguf], ["pruned", pruned]] as const) {
      const asItIs = { model, type: "as it is", rounding: null };
      found.push({ ...asItIs, ...await measure(source, text) });
      for (const { type, rounding } of WAYS) {
        const out = `${folder}/${model}-${type}-${rounding}`;
        const to = ["--to", "gguf", "--quantize", type, "--rounding", rounding];
        await lopper(["export", source, ...to, "--verify", "none", "--out", out]);
        const { files } = JSON.parse(await Deno.readTextFile(`${out}/export.json`));
        found.push({ model, type, rounding, ...await measure(`${out}/${files[0]}`, text) });
        console.error(`${model} ${type} ${rounding}: ${found.at(-1)!.perplexity}`);
      }
    }
    return found;
  });
  await save("requantise", { what: "a quantised source, pruned and quantised again", rows });
  printTable(
    ["model", "matrices", "rounding", "MB", "perplexity", "bits per byte", "of its model as it is"],
    rows.map(({ model, type, rounding, bytes, perplexity, bitsPerByte }) => {
      const base = rows.find((row) => row.model === model)!.perplexity;
      const change = 100 * (perplexity / base - 1);
      return [
        model,
        type,
        rounding ?? "",
        (bytes / 1e6).toFixed(0),
        perplexity.toFixed(2),
        bitsPerByte.toFixed(4),
        `${change < 0 ? "−" : "+"}${Math.abs(change).toFixed(1)} %`,
      ];
    }),
  );
}

async function measure(path: string, text: string) {
  const args = ["--perplexity", text, "--seq-len", SEQUENCE_LENGTH, "--json"];
  const lines = (await lopper(["evaluate", path, ...args])).split("\n");
  const [{ texts: [{ perplexity, bitsPerByte }] }] = JSON.parse(lines.at(-1)!).models;
  return { bytes: await sizeOf(path), perplexity, bitsPerByte };
}

async function sizeOf(path: string): Promise<number> {
  const { isFile, size } = await Deno.stat(path);
  return isFile ? size : (await Deno.stat(`${path}/model.safetensors`)).size;
}
