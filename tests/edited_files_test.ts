import { LopperError, seal, sealLine } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { PUBLISHED_RANKING, rankByWeights } from "@lopper/importance";
import { type Model, modelDigest, openModel } from "@lopper/models";
import { type Ranking } from "@lopper/core";
import assert from "node:assert/strict";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { decisionFromFile } from "../apps/cli/prune/decide.ts";
import { readReportRun } from "../apps/cli/shared/reporting/report_files.ts";
import { readSettings } from "../apps/cli/shared/folder/run_files.ts";
import { RunFolder } from "../apps/cli/shared/folder/run_folder.ts";
import { journalHead } from "@lopper/run";
import {
  type Edit,
  fileEdits,
  type JsonEdit,
  jsonEdits,
  lineEdits,
  stringified,
  text,
} from "./support/edits.ts";
import { pruneHere, writeTinyRun } from "./support/tiny_run.ts";

/** Failing cases are printed with their seed; LOPPER_SEED runs them again. */
const SEED = Number(Deno.env.get("LOPPER_SEED") ?? 29);
const EDITS = Number(Deno.env.get("LOPPER_EDITS") ?? 200);

interface Parts {
  readonly folder: string;
  readonly model: Model;
  readonly digest: string;
  readonly ranking: Ranking;
}

/** What a run wrote, finished or cut off, and everything that reads it back. */
class Subject {
  readonly #parts: Parts;

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Prunes a tiny model, another one so, and leaves a part of the first run as a kill would. */
  static async make(folder: string): Promise<Subject> {
    const at = (name: string) => join(folder, name);
    const tiny = await writeTinyRun(folder);
    const prune = (out: string, ...args: string[]) =>
      pruneHere([
        ...[...tiny, "--out", at(out), "--ratio", "25", "--mlp-group", "3", "--swap", "auto"],
        ...["--distribution", "50:30:20", ...args],
      ]);
    await prune("finished");
    await prune("other", "--seed", "7", "--recover", "none");
    const journal = await Deno.readTextFile(at("finished/journal.jsonl"));
    const lines = journal.split("\n");
    const part = lines.slice(0, Math.ceil(lines.length * 0.6)).join("\n") + "\n";
    await Deno.mkdir(at("unfinished"));
    await Deno.copyFile(at("finished/settings.json"), at("unfinished/settings.json"));
    await Deno.writeTextFile(at("unfinished/journal.jsonl"), part);
    await Deno.mkdir(at("plans"));
    for (const file of ["lopper_plan.json", "pruning_config.json"]) {
      await Deno.copyFile(at(`finished/${file}`), at(`plans/${file}`));
    }
    const model = await openModel(new FileFolder(at("model")));
    const ranking = await rankByWeights(model, PUBLISHED_RANKING);
    return new Subject({ folder, model, digest: await modelDigest(model), ranking });
  }

  at(name: string): string {
    return join(this.#parts.folder, name);
  }

  /** What a run goes on from, in a folder of its own. */
  async copyOf(run: string): Promise<string> {
    const copy = await Deno.makeTempDir({ dir: this.#parts.folder });
    for (const file of ["settings.json", "journal.jsonl"]) {
      await Deno.copyFile(this.at(`${run}/${file}`), join(copy, file));
    }
    return copy;
  }

  close() {
    this.#parts.model[Symbol.dispose]();
  }

  /** What each reader of a file finds, or the sentence that it ends in. */
  async read(name: string): Promise<readonly unknown[]> {
    const [folder, file] = name.split("/");
    const { model, digest, ranking } = this.#parts;
    const decide = (plan: string, ratio?: number) =>
      decisionFromFile(this.at(plan), model, digest, ranking, ratio);
    const readers: (() => Promise<unknown>)[] = [];
    if (folder === "plans") readers.push(() => decide(name));
    else readers.push(() => this.#resumed(folder));
    if (folder === "finished") {
      readers.push(() => readReportRun(this.at(folder)));
      readers.push(() => decide(folder), () => decide(folder, 6));
      if (/plan|pruning/.test(file)) readers.push(() => decide(name));
    }
    return await Promise.all(readers.map((reader) => outcome(reader)));
  }

  /** What a run goes on from. */
  async #resumed(folder: string): Promise<unknown> {
    await using run = await RunFolder.open(this.at(folder), { resume: true });
    return { settings: run.settings, history: run.history, record: await run.record() };
  }
}

/** @throws what is no sentence for people. */
async function outcome(reader: () => Promise<unknown>): Promise<unknown> {
  try {
    return await reader();
  } catch (error) {
    if (!(error instanceof LopperError)) throw error;
    assert.doesNotMatch(error.message, /\n|^\s*at /, "one line");
    assert.ok(error.message.length < 1000, error.message);
    return error;
  }
}

/**
 * Goes on with a copy of an unfinished run, which has to end as the run did that nobody touched.
 */
async function checkResumed(subject: Subject, from: string) {
  const copy = await subject.copyOf(from);
  await pruneHere(["--out", copy, "--resume"]);
  for (
    const file of ["lopper_plan.json", "pruning_config.json", "config.json", "model.safetensors"]
  ) {
    const [now, before] = await Promise.all(
      [copy, subject.at("finished")].map((run) => Deno.readFile(join(run, file))),
    );
    assert.ok(isDeepStrictEqual(now, before), `${file} of the run that went on`);
  }
}

const replaced = (from: string | RegExp, to: string) =>
  text(`${from} becomes ${to}`, (before) => {
    assert.notEqual(before.replace(from, to), before, `${from} is not there`);
    return before.replace(from, to);
  });
/** Edits that leave something that is well-formed, and says something else. */
const POINTED: [string, Edit][] = [
  ["finished/journal.jsonl", replaced(/.*\n$/, "")],
  ["finished/journal.jsonl", replaced(/(.*\n){3}$/, "")],
  ["finished/journal.jsonl", replaced(/"kept":true(?=.*\n$)/, '"kept":false')],
  ["unfinished/journal.jsonl", replaced(/.*\n$/, "")],
  ["unfinished/journal.jsonl", replaced(/"nll":\[\d/, '"nll":[1')],
  ["unfinished/settings.json", replaced('"seed": 42', '"seed": 43')],
  ["unfinished/settings.json", replaced('"bestEffort": false', '"bestEffort": true')],
  ["finished/run.json", replaced(/"heldOut":\d/, '"heldOut":1')],
  ["finished/run.json", replaced(/"prompt": "/, '"prompt": "x')],
  ["finished/lopper_plan.json", replaced(/,\d+(?=\]\}\})/, "")],
  ["finished/lopper_plan.json", replaced(/"removalOrder": \[.*\]/, '"removalOrder": []')],
  ["finished/pruning_config.json", replaced(/"3": 18/, '"3": 17')],
];

/** What all tests edit, and leave as it was: two runs take longer than most edits together. */
let subject: Subject;
Deno.test.beforeAll(async () => {
  subject = await Subject.make(await Deno.makeTempDir({ prefix: "lopper-test-" }));
});
Deno.test.afterAll(async () => {
  subject.close();
  await Deno.remove(subject.at("."), { recursive: true });
});

Deno.test("edited files of a run end in a sentence or in the same result, never in another one", async () => {
  const others = (await Deno.readTextFile(subject.at("other/journal.jsonl"))).trimEnd().split(
    "\n",
  );
  const journal = lineEdits(others);
  const files: Readonly<Record<string, fc.Arbitrary<Edit>>> = {
    "finished/settings.json": fileEdits,
    "finished/journal.jsonl": journal,
    "finished/run.json": fileEdits,
    "finished/lopper_plan.json": fileEdits,
    "finished/pruning_config.json": fileEdits,
    "unfinished/settings.json": fileEdits,
    "unfinished/journal.jsonl": journal,
  };
  const originals = new Map<string, readonly unknown[]>();
  for (const name of Object.keys(files)) {
    const read = await subject.read(name);
    assert.ok(!read.some((value) => value instanceof Error), String(read));
    originals.set(name, read);
  }
  const examples = [...POINTED];
  for (const name of Object.keys(files)) {
    const other = await Deno.readTextFile(subject.at(name.replace(/^\w+/, "other")));
    examples.push([name, text("that of another run", () => other)]);
  }
  const told = { refused: 0, same: 0, resumed: 0 };
  const edits = fc.oneof(
    ...Object.entries(files).map(([name, edit]) => fc.tuple(fc.constant(name), edit)),
  );
  await fc.assert(
    fc.asyncProperty(edits, async ([name, edit]) => {
      const path = subject.at(name);
      const bytes = await Deno.readFile(path);
      try {
        await Deno.writeFile(path, edit.of(bytes));
        const read = await subject.read(name);
        const original = originals.get(name)!;
        for (const [i, found] of read.entries()) {
          if (found instanceof Error) told.refused += 1;
          else if (isDeepStrictEqual(found, original[i])) told.same += 1;
          else if (i === 0 && name.endsWith("/journal.jsonl")) {
            // less is known than was: the rest is found out again
            await checkResumed(subject, name.split("/")[0]);
            told.resumed += 1;
          } else assert.fail(`${name}, ${edit.name}: reader ${i} finds something else`);
        }
      } finally {
        await Deno.writeFile(path, bytes);
      }
    }),
    { numRuns: EDITS + examples.length, seed: SEED, examples: examples.map((edit) => [edit]) },
  );
  console.log(`${EDITS} edits: ${JSON.stringify(told)}`);
  assert.ok(told.refused > EDITS / 2 && told.same > 0 && told.resumed > 0, JSON.stringify(told));
});

Deno.test("edited plans that a user brings end in a sentence, or in what fits the model", async () => {
  const edits = fc.tuple(
    fc.constantFrom("plans/lopper_plan.json", "plans/pruning_config.json"),
    fileEdits,
  );
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(edits, async ([name, edit]) => {
      const path = subject.at(name);
      const bytes = await Deno.readFile(path);
      try {
        await Deno.writeFile(path, edit.of(bytes));
        const [found] = await subject.read(name);
        if (found instanceof Error) refused += 1;
      } finally {
        await Deno.writeFile(path, bytes);
      }
    }),
    { numRuns: EDITS, seed: SEED },
  );
  assert.ok(refused > EDITS / 2, `${refused} were refused`);
});

Deno.test("what was edited and sealed anew ends in a sentence or in a result, never in a stack", async () => {
  const files = ["finished/run.json", "unfinished/settings.json", "unfinished/journal.jsonl"];
  const told = { refused: 0, read: 0, resumed: 0 };
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...files), jsonEdits, fc.nat(), async (name, edit, line) => {
      const path = subject.at(name);
      const before = await Deno.readTextFile(path);
      const forged = name.endsWith("l") ? forgedJournal(line) : forgedFile;
      try {
        const changed = await forged(before, edit, subject.at("unfinished"));
        if (changed === null) return;
        await Deno.writeTextFile(path, changed);
        const read = await subject.read(name);
        const refused = read.filter((found) => found instanceof Error).length;
        told.refused += refused;
        told.read += read.length - refused;
        if (refused > 0 || !name.startsWith("unfinished") || told.resumed === MAX_RESUMED) {
          return;
        }
        told.resumed += 1;
        const copy = await subject.copyOf("unfinished");
        await outcome(() => pruneHere(["--out", copy, "--resume"]));
      } finally {
        await Deno.writeTextFile(path, before);
      }
    }),
    { numRuns: EDITS / 2, seed: SEED },
  );
  assert.ok(told.refused > 0 && told.read > 0 && told.resumed > 0, JSON.stringify(told));
});

/** Each takes about a second. */
const MAX_RESUMED = 10;

/** A file with an edit in it that nobody can see; null where there is none to make. */
type Forged = (before: string, edit: JsonEdit, run: string) => Promise<string | null>;

const forgedFile: Forged = async (before, [, change]) => {
  const { checksum: _, ...json } = JSON.parse(before);
  const changed = jsonOf(change(json));
  return changed && JSON.stringify(await seal(changed));
};

const forgedJournal = (line: number): Forged => async (before, [, change], run) => {
  const lines = before.split("\n").slice(0, -1).map((text) => {
    const { checksum: _, ...entry } = JSON.parse(text);
    return entry as object;
  });
  const at = line % lines.length;
  const changed = jsonOf(change(lines[at]));
  if (!changed) return null;
  let last = await journalHead(await readSettings(run));
  let after = "";
  for (const entry of lines.with(at, changed)) {
    const { line, checksum } = await sealLine(JSON.stringify(entry), last);
    after += line + "\n";
    last = checksum;
  }
  return after;
};

/** What an edit leaves, as JSON has it; null where it is no object with something in it. */
function jsonOf(value: unknown): object | null {
  const json = JSON.parse(stringified(value));
  const some = typeof json === "object" && json !== null && !Array.isArray(json);
  return some && Object.keys(json).length > 0 ? json : null;
}

Deno.test("a record that was sealed anew has to agree with itself, its plan, its journal and the model", async () => {
  const path = subject.at("finished/run.json");
  const before = await Deno.readTextFile(path);
  // deno-lint-ignore no-explicit-any -- an edit may do anything
  const edits: readonly [(record: any) => void, RegExp][] = [
    [(r) => r.layers.pruned[0].mlp.intermediateSize -= 1, /leaves other layers than run\.json/],
    [(r) => r.layers.dense[0].mlp.intermediateSize += 1, /other layers of the model than it has/],
    [(r) => r.ratio -= 1, /a ratio of \d+\.\d+, which its layers do not have/],
    [(r) => r.planDigest = r.modelDigest, /is not the plan of run\.json/],
    [(r) => r.journal = "0".repeat(16), /lacks lines that run\.json was made with/],
    [(r) => r.frontier[0].parameters -= 1, /step 1 of its frontier: it says \d+ parameters/],
    [(r) => r.frontier[0].ratio -= 1, /different things of step 1/],
    [(r) => r.swaps[0].kept.pop(), /different things of the swaps after step/],
    [(r) => r.modelDigest = r.prunedDigest, /the run belongs to the checkpoint/],
    [(r) => r.flags.preset = "constructor", /at flags\.preset/],
  ];
  for (const [edit, message] of edits) {
    const { checksum: _, ...record } = JSON.parse(before);
    edit(record);
    await Deno.writeTextFile(path, JSON.stringify(await seal(record)));
    const read = await subject.read("finished/run.json");
    const told = read.filter((found) => found instanceof Error).map(({ message }) => message);
    assert.ok(told.some((sentence) => message.test(sentence)), `${message}: ${told.join(" | ")}`);
  }
  await Deno.writeTextFile(path, before);
});
