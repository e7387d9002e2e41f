/**
 * What the readers of exports computed, as the tests in tests/interop measured it: one committed
 * file, from which scripts/interop_table.ts makes the tables of docs/readers.md. A test writes its
 * cell when it has passed, and only when LOPPER_INTEROP_RESULTS is set, so that a run elsewhere
 * changes nothing.
 */
import { type LogitDifference } from "@lopper/exports";
import { z } from "zod";

export const RESULTS = new URL("../interop/results.json", import.meta.url);

export const MODELS = ["embedded", "SmolLM2"] as const;
export const SHAPES = ["dense", "pruned"] as const;

export interface Subject {
  readonly model: typeof MODELS[number];
  readonly shape: typeof SHAPES[number];
}

/** The columns: each model as it is, and after a plan that leaves hardly two layers alike. */
export const SUBJECTS: readonly Subject[] = MODELS.flatMap((model) =>
  SHAPES.map((shape) => ({ model, shape }))
);

export interface Row {
  readonly format: string;
  /** What the weights are stored as. */
  readonly weights: string;
  readonly reader: string;
}

/**
 * Stands for the reader where a runtime reads what its own quantiser or converter made of the same
 * model.
 */
export const OWN_QUANTISER = "from its own quantiser";

const rows = (format: string, weights: readonly string[], readers: readonly string[]) =>
  weights.flatMap((weights) => readers.map((reader): Row => ({ format, weights, reader })));

/** Stands for the format where it is the folder that `prune` writes, without an export. */
export const RESULT = "what prune writes";

const EXACT = ["fp32", "fp16"] as const;
const ONNX_READERS = ["transformers.js", "onnxruntime-node", "onnxruntime-web"] as const;
const GGUF_READERS = ["node-llama-cpp", "transformers"] as const;

/** Formats and dtypes by the readers that know the format: a cell of each row for every subject. */
export const ROWS: readonly Row[] = [
  ...rows(RESULT, ["fp16"], ["transformers", "mlx-lm", "vLLM"]),
  ...rows("safetensors", EXACT, ["transformers", "mlx-lm"]),
  ...rows("safetensors, DeciLM", EXACT, ["mlx-lm", "vLLM"]),
  ...rows("ONNX", EXACT, ONNX_READERS),
  ...rows("ONNX", ["q8", "q4"], [...ONNX_READERS, "onnxruntime", OWN_QUANTISER]),
  ...rows("GGUF", ["fp32"], GGUF_READERS),
  ...rows("GGUF", ["fp16", "q8_0", "q4_0"], [...GGUF_READERS, "llama-cpp-python", OWN_QUANTISER]),
];

/** How far logits may be in fp16. */
export const FP16_ALLOWED = 2e-2;
/**
 * Why they are further in one reader; tests/interop/quantisers_test.ts measures that it is as it
 * says.
 */
export const LLAMA_CPP_FP16 =
  "llama.cpp rounds to half precision what it multiplies with such weights; the file that its own " +
  "converter makes of the same model is as far off";

/** Why a cell can have no figures: anything else, such as a test that nobody ran, is no reason. */
export const MLX_RUNS_NO_CODE =
  "mlx-lm runs no code that lies beside weights: `--layout deci` is for it";
export const VLLM_WANTS_A_BASE_MODEL =
  "vLLM asks the code that lies beside weights for a decoder without its head, which that has not: " +
  "`--layout deci` is for it";
export const TRANSFORMERS_KNOWS_NO_DECI =
  "transformers knows no `deci`, llama.cpp's architecture for layers that differ";

export const isQuantised = (weights: string): boolean => weights.startsWith("q");

const row = { format: z.string(), weights: z.string(), reader: z.string() };
const subject = { model: z.enum(MODELS), shape: z.enum(SHAPES) };
const cellSchema = z.union([
  z.strictObject({
    ...row,
    ...subject,
    /** Of the reader. */
    version: z.string(),
    /**
     * By which it is known that the reader ran what was written: what it says itself of the model.
     */
    saw: z.string(),
    /** Tokens over which logits were compared with Lopper's for the source of the export. */
    positions: z.int().positive(),
    /** Largest absolute difference of two logits. */
    maxAbs: z.number().nonnegative().optional(),
    /** Nats a token. */
    meanKl: z.number().optional(),
    /** Share of tokens with the same likeliest next one. */
    sameTop: z.number().min(0).max(1),
    /** Tokens that it continues as Lopper does, where that was asked for. */
    greedy: z.int().positive().optional(),
    /** What is to be known of the figures. */
    note: z.string().optional(),
  }),
  z.strictObject({
    ...row,
    ...subject,
    version: z.string(),
    reason: z.enum([MLX_RUNS_NO_CODE, VLLM_WANTS_A_BASE_MODEL, TRANSFORMERS_KNOWS_NO_DECI]),
  }),
]);

export type Cell = z.infer<typeof cellSchema>;

export async function readResults(): Promise<readonly Cell[]> {
  return z.array(cellSchema).parse(JSON.parse(await Deno.readTextFile(RESULTS)));
}

/** Says which cell of the tables it is. */
export function cellKey({ format, weights, reader, model, shape }: Row & Subject): string {
  return [format, weights, reader, model, shape].join(" · ");
}

/** Every cell that the tables have, in their order. */
export function allCells(): readonly (Row & Subject)[] {
  return ROWS.flatMap((row) => SUBJECTS.map((subject) => ({ ...row, ...subject })));
}

/** The part of a cell that compared logits are. */
export function figures(
  { maxAbs, meanKl, sameTop, positions }: LogitDifference,
): Pick<Extract<Cell, { saw: string }>, "positions" | "maxAbs" | "meanKl" | "sameTop"> {
  return { positions, maxAbs, meanKl, sameTop };
}

/** Prints what a test has measured, and writes it into the results where that is asked for. */
export async function record(cell: Cell): Promise<void> {
  const { format, weights, reader, model, shape, ...measured } = cellSchema.parse(cell);
  console.log(`${cellKey(cell)}: ${JSON.stringify(measured)}`);
  if (!Deno.env.get("LOPPER_INTEROP_RESULTS")) return;
  const cells = new Map<string, Cell>();
  if (await exists(RESULTS)) {
    for (const known of await readResults()) cells.set(cellKey(known), known);
  }
  cells.set(cellKey(cell), { format, weights, reader, model, shape, ...rounded(measured) } as Cell);
  await Deno.writeTextFile(RESULTS, resultsJson([...cells.values()]));
}

/** One line a cell, in the order of the tables; cells that the tables do not have are left out. */
export function resultsJson(cells: readonly Cell[]): string {
  const byKey = new Map(cells.map((cell) => [cellKey(cell), cell]));
  const lines = allCells().flatMap((place) => {
    const cell = byKey.get(cellKey(place));
    return cell === undefined ? [] : [`  ${JSON.stringify(cell)}`];
  });
  return `[\n${lines.join(",\n")}\n]\n`;
}

/** Three digits: a further one changes from machine to machine. */
function rounded(measured: Readonly<Record<string, unknown>>) {
  return Object.fromEntries(
    Object.entries(measured).map(([name, value]) => [
      name,
      typeof value === "number" ? Number(value.toPrecision(3)) : value,
    ]),
  );
}

async function exists(url: URL): Promise<boolean> {
  try {
    await Deno.stat(url);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
