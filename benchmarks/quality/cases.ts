/** The tables of quality.md: which model, on what text, and which rows in which order. */
import type { QualityCase } from "./case.ts";

type Case = Omit<QualityCase, "model" | "data">;
type Rows = Case["rows"];

/** About 15,000 tokens of WikiText-2, and 12,000 of C4. */
const QUARTER = { wiki: 1 / 20, web: 1 / 4 } as const;
const SMOLLM2 = {
  seqLen: 256,
  mlpGroup: 256,
  // About 67,000 tokens of WikiText-2, and 65,000 of C4.
  shares: { wiki: 1 / 5, web: 1 },
  limit: 200,
} as const;
/**
 * A quarter of its channels at a time, and short sequences, of which little is padding: it takes
 * five times as long for a token.
 */
const QWEN = {
  seqLen: 128,
  mlpGroup: 1216,
  shares: QUARTER,
  limit: 100,
} as const;
/** Of its parameters 63 % are the embedding, and as much of the work is the LM head. */
const GEMMA = {
  seqLen: 128,
  mlpGroup: 512,
  shares: QUARTER,
  limit: 100,
} as const;
const LITTLE = { block: 16, width: 8 } as const;

/**
 * One row at several ratios; a row whose search is part of a longer one is cheapest from the
 * largest down.
 */
function at(ratios: readonly number[], ...names: Rows[number]["names"]): Rows {
  return ratios.map((ratio) => ({ ratio, names }));
}

/** The rows that come after those that decide. */
const OTHERS = [
  ...at([20, 10, 30], "divergence alone"),
  ...at([30, 20, 10], "all but divergence"),
  ...at([30, 20, 10], "BlockPruner preset"),
  ...at([10, 30, 20], "order and repair", "order alone"),
  ...at([20, 10, 30], "repair alone"),
  ...at([10, 20, 30], "swaps alone"),
  ...at([30, 20, 10], "distribution alone"),
];

/** By the name of the model's flag, and of `--text`. */
const QUALITY_CASES = {
  smollm2: {
    alpaca: {
      ...SMOLLM2,
      name: "smollm2",
      calibration: ["Alpaca"],
      samples: LITTLE,
      rows: [
        ...at([20], "BlockPruner preset", "MultiPruner preset", "Lopper defaults"),
        ...at([20], "all but divergence"),
        ...at([10], "BlockPruner preset", "MultiPruner preset"),
        ...at([20], "order and repair"),
        ...at([30], "MultiPruner preset", "order and repair"),
        ...at([10], "order and repair"),
        ...at([30, 10], "Lopper defaults"),
        ...at([20], "order alone", "repair alone"),
        ...at([30], "BlockPruner preset"),
        ...at([30, 10], "order alone", "repair alone"),
        ...at([30, 20, 10], "distribution alone"),
        ...at([20, 30, 10], "swaps alone"),
      ],
    },
    self: {
      ...SMOLLM2,
      // The table with every row, so that each takes less.
      shares: QUARTER,
      name: "smollm2-self",
      calibration: ["Alpaca", "the model's own text"],
      samples: LITTLE,
      rows: [
        ...at([30, 20, 10], "Lopper defaults"),
        ...at([20, 30, 10], "MultiPruner preset"),
        ...OTHERS,
      ],
    },
    mixed: {
      ...SMOLLM2,
      name: "smollm2-mixed",
      calibration: ["Alpaca", "WikiText-2 (validation)"],
      samples: { block: 64, width: 32 },
      rows: [
        ...at([20], "MultiPruner preset", "order and repair"),
        ...at([30, 20, 10], "Lopper defaults"),
        ...at([10, 30], "MultiPruner preset", "order and repair"),
      ],
    },
  },
  qwen: {
    mixed: {
      ...QWEN,
      name: "qwen-mixed",
      calibration: ["Alpaca", "WikiText-2 (validation)"],
      samples: LITTLE,
      rows: [
        ...at([30, 20, 10], "Lopper defaults"),
        ...at([20, 30, 10], "MultiPruner preset"),
        ...at([20], "repair alone"),
        ...OTHERS,
      ],
    },
  },
  gemma: {
    mixed: {
      ...GEMMA,
      name: "gemma",
      calibration: ["Alpaca", "WikiText-2 (validation)"],
      samples: { block: 8, width: 4 },
      rows: [
        ...at([20, 10], "Lopper defaults"),
        ...at([10, 20], "MultiPruner preset"),
      ],
    },
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Case>>>>;

/** @returns undefined where there is no such table. */
export function qualityCase(model: keyof typeof QUALITY_CASES, text: string): Case | undefined {
  return new Map<string, Case>(Object.entries(QUALITY_CASES[model])).get(text);
}
