import type { Backend } from "@lopper/backends";
import { BlobSource, type ModelFolder } from "@lopper/formats";
import { DEMO_MLP_GROUPS, DEMO_SAMPLES, DEMO_SEQUENCE_LENGTH } from "@lopper/demo-model";
import { type SampleList, type SampleSource, textSamples } from "@lopper/importance";
import { type Model, openModel } from "@lopper/models";
import {
  BOOKS,
  cutTexts,
  heldOutName,
  keepsBatches,
  MIX,
  openFitting,
  policyOf,
  type PruneTask,
  type RunFlags,
  runFlags,
  type RunNames,
  type RunStore,
  type RunTexts,
  type TextSources,
} from "@lopper/run";
import { openTokenizer, type Tokenizer } from "@lopper/tokenizers";
import type { About } from "./about.ts";
import { EMBEDDED_TEXTS } from "./embedded.ts";
import { openEngine } from "./engines.ts";
import { memoryHere } from "./memory.ts";

/** All that a run needs but its store, open. */
export interface OpenedRun extends AsyncDisposable {
  readonly model: Model;
  readonly texts: RunTexts;
  readonly task: PruneTask;
  readonly tokenizer: Tokenizer;
  readonly backend: Backend;
}

/**
 * Opens the model and the engine, and reads the texts.
 * @param text of the user's own to judge by, if there is one.
 * @param store of the run; what it has of settings goes on.
 * @throws {LopperError} when something is not as it should be, or out of reach, before any work.
 */
export async function openRun(
  folder: ModelFolder,
  about: About,
  text: File | null,
  store: Pick<RunStore, "settings">,
): Promise<OpenedRun> {
  await using opening = new AsyncDisposableStack();
  const model = opening.use(await openModel(folder));
  const flags = flagsOf(model, about, store.settings?.flags);
  // What is out of reach is refused before a text is read.
  policyOf(model, flags, null);
  const backend = opening.use(
    await openFitting(
      (threads = navigator.hardwareConcurrency) => openEngine(threads),
      keepsBatches(model, flags, { memory: memoryHere, store }),
    ),
  );
  const tokenizer = opening.use(await openTokenizer(model.folder));
  const texts = await cutTexts(
    {
      block: { name: about.text ?? "the page's texts", sources: await calibration(text, about) },
      width: null,
      heldOut: await heldOut(flags.heldOut ?? BOOKS),
    },
    flags,
    model.architecture,
    tokenizer,
  );
  const opened = opening.move();
  return {
    ...{ model, texts, tokenizer, backend },
    task: { flags, names: namesOf(about, flags) },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** What the card of the result calls the model and the texts. */
function namesOf({ title, text, isEmbedded }: About, flags: RunFlags): RunNames {
  return {
    model: title,
    calibration: text ??
      `${isEmbedded ? "public-domain books" : "texts of several kinds"} that Lopper brings along`,
    heldOut: heldOutName(flags) ?? "the page's held-out text",
  };
}

/** The settings of a run: what the page asks, and for the rest what the command line takes. */
function flagsOf(
  model: Model,
  { isEmbedded, title, text, asked }: About,
  saved?: RunFlags,
): RunFlags {
  const own = text === null ? undefined : [{ path: text, weight: 1 }];
  const usual = {
    sequenceLength: DEMO_SEQUENCE_LENGTH,
    mlpGroups: DEMO_MLP_GROUPS,
    ...(text === null && { samples: DEMO_SAMPLES }),
  };
  return runFlags(
    model.architecture,
    {
      ...asked,
      calibration: own,
      heldOut: isEmbedded || saved ? undefined : MIX,
      model: isEmbedded ? null : title,
    },
    { saved, usual: isEmbedded ? usual : undefined },
  );
}

/** Text that decides nothing, by the name that settings have of it. */
async function heldOut(name: string): Promise<TextSources["heldOut"]> {
  if (name === MIX) {
    const kinds = await EMBEDDED_TEXTS.heldOutMix();
    return await Promise.all(kinds.map(async ({ name, blob }) => ({
      name,
      samples: await samplesOf(blob, name === BOOKS ? "books.txt" : `${name}.jsonl`),
    })));
  }
  return {
    name: "the page's held-out text",
    samples: await samplesOf(await EMBEDDED_TEXTS.heldOut(), "held_out.txt"),
  };
}

/** The user's text, or those that the page brings along for such a model. */
async function calibration(
  text: File | null,
  { isEmbedded }: About,
): Promise<readonly SampleSource[]> {
  const blobs = text
    ? [text]
    : isEmbedded
    ? [await EMBEDDED_TEXTS.books()]
    : await EMBEDDED_TEXTS.mix();
  return await Promise.all(
    blobs.map(async (blob) => ({
      samples: await samplesOf(blob, text?.name ?? "calibration.jsonl"),
      weight: 1,
    })),
  );
}

async function samplesOf(blob: Blob, name: string): Promise<SampleList> {
  const open = () => Promise.resolve(new BlobSource(name, blob));
  if (!/\.parquet$/i.test(name)) return await textSamples(open, name);
  // Few runs need it.
  const { parquetSamples } = await import("@lopper/importance/parquet");
  return await parquetSamples(open, name);
}
