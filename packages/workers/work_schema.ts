import { type BlockSize, LopperError, sha256 } from "@lopper/core";
import { CRITERION_NAMES } from "@lopper/importance";
import { z } from "zod";

/** What comes from a queue and is no work of this form; nothing of it is done. */
export class WorkError extends LopperError {}

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const count = z.int().nonnegative();
const name = z.string().min(1).max(100);
/** More blocks, sequences or units than any run has: what has more is damaged. */
const MAX_VALUES = 1_000_000;
const list = <T extends z.ZodType>(entry: T, most = MAX_VALUES) =>
  z.array(entry).max(most).readonly();

/**
 * Numbers as JSON has them, and those that it has no word for. The type is said, since TypeScript
 * writes a key "-Infinity" into declarations as it cannot read it.
 */
const anyNumber: z.ZodType<number> = z.number().or(
  z.enum(["NaN", "Infinity", "-Infinity"]).transform(Number),
);

const workSet = z.strictObject({
  sequences: list(list(count)).refine(({ length }) => length > 0, "there needs to be one"),
  length: z.int().positive(),
  ignoredLabel: count.nullable(),
  digest,
  /** Tokens that run through a block together. */
  batchTokens: z.int().positive(),
  /** The order in which sequences go into batches. */
  order: list(count),
  /** Whether its loss is that of the criterion; else it is the NLL of the text. */
  judged: z.boolean(),
}).refine(
  ({ sequences, length }) => sequences.every((ids) => ids.length === length),
  "sequences need to be equally long",
).refine(
  ({ sequences, order }) =>
    order.length === sequences.length && new Set(order).size === order.length &&
    order.every((i) => i < sequences.length),
  "each sequence needs to be in one batch",
);

/** Sequences that are shared out, and how they run. */
export type WorkSet = Readonly<z.infer<typeof workSet>>;

const workSetup = z.strictObject({
  kind: z.literal("lopper-work"),
  /** Of Lopper: another one may compute otherwise. */
  version: name,
  modelDigest: digest,
  backend: name,
  criterion: z.enum(CRITERION_NAMES),
  sets: z.record(name, workSet),
});

/**
 * What all work of a run depends on. Its digest names the run: one that was cut off and goes on has
 * the same.
 */
export type WorkSetup = Readonly<z.infer<typeof workSetup>>;

/** Sizes by the numbers of blocks, of those that differ from what a shape is compared with. */
const sizes = list(z.tuple([
  count,
  z.record(name, z.int().positive()).nullable() as z.ZodType<BlockSize | null>,
]));

/**
 * What is asked: to have predictions ready, for losses, how far outputs move, or what a ranking
 * learns from.
 */
const task = z.enum(["prepare", "score", "perturbation", "activations"]);

const job = z.strictObject({
  run: digest,
  task,
  set: name,
  batch: count,
  /** Of the ranking in which units lie, whose text the queue keeps; null: as they lie at first. */
  ranking: digest.nullable(),
  /** The current plan: what the search took away so far, compared with the dense model. */
  base: sizes,
  /** What is scored, compared with the current plan; null for that plan itself. */
  candidates: list(z.strictObject({ first: count, sizes }).nullable(), 1000),
});

/**
 * A unit of work: some candidates on one batch of sequences. It says all that its result depends
 * on, so that whoever does it, and however often, comes to the same numbers.
 */
export type Job = Readonly<z.infer<typeof job>>;
export type Sizes = z.infer<typeof sizes>;

const byBlock = <T extends z.ZodType>(values: T) => list(z.tuple([count, values]));

/** Sums over the tokens of a batch, by the numbers of blocks. */
const activations = z.strictObject({
  /** Of the squares of each inner channel; in float32, of which these digits are enough. */
  energy: byBlock(list(anyNumber)),
  experts: byBlock(z.strictObject({
    tokens: list(anyNumber),
    squares: list(anyNumber),
    weighted: list(anyNumber),
    energy: list(anyNumber).optional(),
  })),
});

const answer = z.strictObject({
  /** Of the job, as `nameOf` says. */
  job: digest,
  /** A loss for each candidate and sequence in nats per token; one number for each otherwise. */
  values: list(list(anyNumber)),
  activations: activations.optional(),
  /** Block-tokens that it took, those for block inputs and predictions included. */
  blockTokens: z.number().nonnegative(),
}).or(z.strictObject({
  job: digest,
  /** Why it cannot be done. */
  problem: z.string().max(10_000),
}));

export type Answer = Readonly<z.infer<typeof answer>>;

const ranking = list(z.record(name, list(count)).nullable());

const FORMS = { setup: workSetup, job, answer, ranking } as const;
type Forms = typeof FORMS;

/** More than any of them has; what is longer is not looked into. */
const MAX_CHARACTERS = 2 ** 27;

/**
 * What a queue has of one of these forms.
 * @throws {WorkError} when it is something else.
 */
export function readWork<F extends keyof Forms>(form: F, text: string): z.infer<Forms[F]> {
  if (text.length > MAX_CHARACTERS) {
    throw new WorkError(`the queue has a ${form} of ${text.length} characters; none is so long`);
  }
  const found = FORMS[form].safeParse(jsonOf(text));
  if (found.success) return found.data as z.infer<Forms[F]>;
  const [{ message, path }] = found.error.issues;
  const place = path.length > 0 ? ` (${path.join(".")})` : "";
  throw new WorkError(`the queue has something that is no ${form} of Lopper: ${message}${place}`);
}

/** The text that a queue has of it, with words for what is no number in JSON. */
export function workText(work: WorkSetup | Job | Answer | z.infer<typeof ranking>): string {
  return JSON.stringify(
    work,
    (_, value) => typeof value === "number" && !Number.isFinite(value) ? String(value) : value,
  );
}

/** `sha256:…` of the text, by which it is named. */
export function nameOf(text: string): Promise<string> {
  return sha256(new TextEncoder().encode(text));
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
