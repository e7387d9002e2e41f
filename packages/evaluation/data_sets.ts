/** Where the rows of a task are found. */
export interface DataSet {
  /** Name on the hub. */
  readonly repository: string;
  /** The part and the split, for messages. */
  readonly part: string;
  /** Folders of a collection of data sets that may hold it; the repository's name is one, too. */
  readonly folders: readonly string[];
  /**
   * Which files of such a folder, or of the repository, have the rows; the first that finds any
   * counts.
   */
  readonly files: readonly RegExp[];
}

/**
 * Files of the branch refs/convert/parquet, which the hub makes itself and which is alike for all
 * data sets.
 */
const converted = (part: string, split: string) => new RegExp(`^${part}/${split}/\\d+\\.parquet$`);
const parquet = (folder: string, split: string) =>
  new RegExp(`^${folder}${split}-\\d+-of-\\d+\\.parquet$`);
const lines = (name: string) => new RegExp(`^${name}\\.jsonl(\\.gz)?$`);

/**
 * The data sets of the tasks and of WikiText-2 (the harness's `dataset_path` and split, version
 * 0.4.13).
 */
export const DATA_SETS: Readonly<Record<string, DataSet>> = {
  wikitext2: {
    repository: "Salesforce/wikitext",
    part: "wikitext-2-raw-v1, test",
    folders: ["wikitext2", "wikitext"],
    files: [
      parquet("wikitext-2-raw-v1/", "test"),
      converted("wikitext-2-raw-v1", "test"),
      /^(wikitext-2-raw\/)?wiki\.test\.raw(\.gz)?$/,
    ],
  },
  piqa: {
    repository: "baber/piqa",
    part: "validation",
    folders: ["piqa"],
    files: [
      parquet("(data/|plain_text/)?", "validation"),
      converted("[^/]+", "validation"),
      lines("(data/)?(valid|validation)"),
    ],
  },
  winogrande: {
    repository: "allenai/winogrande",
    part: "winogrande_xl, validation",
    folders: ["winogrande"],
    files: [
      parquet("winogrande_xl/", "validation"),
      converted("winogrande_xl", "validation"),
      lines("(dev|validation)"),
    ],
  },
  hellaswag: {
    repository: "Rowan/hellaswag",
    part: "validation",
    folders: ["hellaswag"],
    files: [
      parquet("(data/|default/)?", "validation"),
      converted("default", "validation"),
      lines("(data/)?(hellaswag_val|validation|hellaswag_val_harness)"),
    ],
  },
  arc_easy: arc("ARC-Easy"),
  arc_challenge: arc("ARC-Challenge"),
  boolq: {
    repository: "aps/super_glue",
    part: "boolq, validation",
    folders: ["boolq", "super_glue"],
    files: [
      parquet("boolq/", "validation"),
      parquet("(data/)?", "validation"),
      converted("boolq", "validation"),
      lines("(val|validation)"),
    ],
  },
  openbookqa: {
    repository: "allenai/openbookqa",
    part: "main, test",
    folders: ["openbookqa"],
    files: [parquet("main/", "test"), converted("main", "test"), lines("(Main/)?test")],
  },
  lambada_openai: {
    repository: "EleutherAI/lambada_openai",
    part: "default, test",
    folders: ["lambada", "lambada_openai"],
    files: [
      parquet("default/", "test"),
      lines("(data/)?lambada_test(_default)?"),
      converted("default", "test"),
    ],
  },
};

function arc(part: "ARC-Easy" | "ARC-Challenge"): DataSet {
  return {
    repository: "allenai/ai2_arc",
    part: `${part}, test`,
    folders: ["arc", "ai2_arc"],
    files: [parquet(`${part}/`, "test"), converted(part, "test"), lines(`(${part}/)?${part}-Test`)],
  };
}

/**
 * The files of a data set among paths (with slashes) within its folder, in order; none where
 * nothing fits, or where parts of what fits are missing.
 */
export function dataFiles({ files }: DataSet, paths: readonly string[]): readonly string[] {
  for (const pattern of files) {
    const found = paths.filter((path) => pattern.test(path));
    const whole = found.every((path) => (partsOf(path) ?? found.length) === found.length);
    if (found.length > 0 && whole) return found.sort();
  }
  return [];
}

/**
 * How many files there are by the name of one, `…-00000-of-00002.parquet`; null where it does not
 * say.
 */
function partsOf(path: string): number | null {
  const [, count] = /-of-(\d+)\.parquet$/.exec(path) ?? [];
  return count === undefined ? null : Number(count);
}
