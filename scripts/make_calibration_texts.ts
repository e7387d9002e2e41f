/**
 * Makes the texts of packages/calibration-texts from public repositories: some 80 kB of passages of
 * each kind to calibrate on, and a few kB of others to measure on. Files are read from git at the
 * commits below, so that the same texts come out; sources and licences are in
 * packages/calibration-texts/data/README.md.
 *
 * Usage: deno run --allow-all scripts/make_calibration_texts.ts FOLDER
 *
 * FOLDER has a clone of each repository, named after it (owner+name).
 */
import { execFileSync } from "node:child_process";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

const OUT = new URL("../packages/calibration-texts/data/", import.meta.url);
/** Characters of each kind to calibrate on, and of held-out text. */
const KIND_CHARACTERS = 80_000, HELD_OUT_CHARACTERS = 8_000;
/** Characters from which on a passage is long enough: of running text, and of code. */
const PASSAGE = 450, CODE = 900;

/** Names of accents in HTML (HTML Living Standard, 13.5), and the characters that combine. */
const ACCENTS: Readonly<Record<string, string>> = {
  acute: "\u0301",
  cedil: "\u0327",
  circ: "\u0302",
  grave: "\u0300",
  tilde: "\u0303",
  uml: "\u0308",
};

interface Source {
  readonly repository: string;
  readonly commit: string;
  /** Which files are read. */
  readonly files: RegExp;
  /** Files of nothing else, to measure on. */
  readonly heldOut?: RegExp;
  passages(file: string): readonly string[];
}

const KINDS: Readonly<Record<string, Source>> = {
  articles: {
    repository: "18F/18f.gsa.gov",
    commit: "0a55c75e6",
    files: /^content\/posts\/.*\.md$/,
    passages: (file) => gathered(proseOf(file)),
  },
  countries: {
    repository: "factbook/factbook.json",
    commit: "8662a8b1",
    files: /^(?!meta\/)[a-z-]+\/[a-z]+\.json$/,
    passages: (file) => profilesOf(JSON.parse(file)).flatMap(sentencesOf),
  },
  instructions: {
    repository: "yizhongw/self-instruct",
    commit: "0b26cca",
    files: /^data\/seed_tasks\.jsonl$/,
    heldOut: /^human_eval\/user_oriented_instructions\.jsonl$/,
    passages: (file) =>
      linesOf(file).map(({ instruction, instances: [{ input, output }] }) =>
        [instruction, input, output].filter((part) => part !== "").join("\n\n")
      ),
  },
  mathematics: {
    repository: "openai/grade-school-math",
    commit: "3101c7d",
    files: /^grade_school_math\/data\/train\.jsonl$/,
    // Without the marks for a calculator.
    passages: (file) =>
      linesOf(file).map(({ question, answer }) =>
        `${question}\n${answer.replaceAll(/<<.*?>>/g, "").replace("#### ", "Answer: ")}`
      ),
  },
  code: {
    repository: "TheAlgorithms/Python",
    commit: "f5988cc09",
    files: /^(?!.*__init__).*\.py$/,
    passages: (file) => file.length < CODE ? [] : [file.slice(0, file.lastIndexOf("\n", CODE))],
  },
  manuals: {
    repository: "rust-lang/book",
    commit: "917544888",
    files: /^src\/ch\d.*\.md$/,
    passages: (file) => gathered(proseOf(file)),
  },
};

const [folder] = Deno.args;
if (!folder) {
  console.error("usage: make_calibration_texts.ts FOLDER");
  Deno.exit(2);
}
for (const [kind, source] of Object.entries(KINDS)) {
  const passages = passagesIn(source, source.files);
  const taken = beginningOf(passages, KIND_CHARACTERS);
  const heldOut = beginningOf(heldOutOf(source, passages, taken), HELD_OUT_CHARACTERS);
  write(`${kind}.jsonl`, taken);
  write(`held_out/${kind}.jsonl`, heldOut);
  const counts = `${taken.length} and ${heldOut.length} of ${passages.length} passages`;
  console.log(`${kind}: ${counts} of ${source.repository}`);
}

interface Passage {
  readonly text: string;
  /** What else would say the same: the file, or of a file of many texts this one alone. */
  readonly origin: string;
}

/** In random order. */
function passagesIn({ repository, commit, passages }: Source, files: RegExp): readonly Passage[] {
  const clone = `${folder}/${repository.replace("/", "+")}`;
  const paths = git(clone, "ls-tree", "-r", "--name-only", commit).split("\n")
    .filter((path) => files.test(path));
  const all = paths.flatMap((path) => {
    const texts = passages(git(clone, "show", `${commit}:${path}`));
    const originOf = path.endsWith(".jsonl") ? (text: string) => text : () => path;
    return texts.map((text) => ({ text, origin: originOf(text) }));
  });
  return shuffled(all.filter(({ text }) => !/https?:\/\/|\{[{%]/.test(text)));
}

/** Passages of files, and texts, of which nothing is calibrated on. */
function heldOutOf(
  source: Source,
  passages: readonly Passage[],
  taken: readonly Passage[],
): readonly Passage[] {
  if (source.heldOut) return passagesIn(source, source.heldOut);
  const origins = new Set(taken.map(({ origin }) => origin));
  return passages.filter(({ origin }) => !origins.has(origin));
}

function write(file: string, passages: readonly Passage[]) {
  const lines = passages.map(({ text }) => JSON.stringify({ text }) + "\n");
  Deno.writeTextFileSync(new URL(file, OUT), lines.join(""));
}

function git(clone: string, ...words: readonly string[]): string {
  return execFileSync("git", ["-C", clone, ...words], { encoding: "utf8", maxBuffer: 1e9 });
}

function shuffled<T>(items: readonly T[]): readonly T[] {
  const random = xoroshiro128plus(42);
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = uniformInt(random, 0, i);
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}

/** The first passages, until they have so many characters. */
function beginningOf(passages: readonly Passage[], most: number): readonly Passage[] {
  let characters = 0;
  return passages.filter(({ text }) => {
    const isTaken = characters < most;
    characters += text.length;
    return isTaken;
  });
}

// deno-lint-ignore no-explicit-any -- as the data sets have them
function linesOf(file: string): any[] {
  return file.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

/** Paragraphs of running text of a Markdown file, without marks. */
function proseOf(file: string): readonly string[] {
  return file.replace(/^---\n.*?\n---\n/s, "").split(/\n\s*\n/)
    .filter((paragraph) => /^["'“‘A-Z]/.test(paragraph) && paragraph.length > 120)
    .map((paragraph) =>
      plain(paragraph)
        .replaceAll(/!\[[^\]]*\]\([^)]*\)/g, "")
        .replaceAll(/\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])/g, "$1")
        .replaceAll(/\*\*|__|`/g, "")
        .replaceAll(/(?<!\w)[*_]([^*_\n]+)[*_](?!\w)/g, "$1")
        .replaceAll(/\s+/g, " ").trim()
    );
}

/** Paragraphs after one another, until they are long enough for a passage. */
function gathered(paragraphs: readonly string[]): readonly string[] {
  const passages: string[] = [];
  let passage = "";
  for (const paragraph of paragraphs) {
    passage += (passage === "" ? "" : "\n\n") + paragraph;
    if (passage.length < PASSAGE) continue;
    passages.push(passage);
    passage = "";
  }
  return passages;
}

/** The long texts of a country's profile. */
function profilesOf(profile: Readonly<Record<string, unknown>>): readonly string[] {
  const told = (value: unknown): readonly string[] =>
    typeof value === "string"
      ? value.length > PASSAGE ? [plain(value)] : []
      : typeof value === "object" && value !== null
      ? Object.values(value).flatMap(told)
      : [];
  const { Introduction, Space } = profile;
  return [Introduction, Space].flatMap(told);
}

/** Whole sentences until they are long enough. */
function sentencesOf(text: string): readonly string[] {
  return gathered([text]).flatMap((whole) => {
    const passages: string[] = [];
    let passage = "";
    for (const sentence of whole.split(/(?<=[.;])\s+/)) {
      passage += (passage === "" ? "" : " ") + sentence;
      if (passage.length < PASSAGE) continue;
      passages.push(passage);
      passage = "";
    }
    return passages;
  });
}

/** HTML without its marks. */
function plain(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    amp: "&",
    quot: '"',
    nbsp: " ",
    rsquo: "’",
    lsquo: "‘",
    rdquo: "”",
    ldquo: "“",
    ndash: "–",
    mdash: "—",
    lt: "<",
    gt: ">",
  };
  return text.replaceAll(/<br\s*\/?>/g, "\n").replaceAll(/<[^>]+>/g, "")
    .replaceAll(
      /&([A-Za-z])(acute|cedil|circ|grave|tilde|uml);/g,
      (_, letter, accent) => (letter + ACCENTS[accent]).normalize("NFC"),
    )
    .replaceAll(/&(\w+);/g, (whole, name) => entities[name] ?? whole)
    .replaceAll(/[ \t]+/g, " ").trim();
}
