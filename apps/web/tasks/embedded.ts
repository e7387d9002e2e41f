import { BlobFolder } from "@lopper/browser";
import { CALIBRATION_TEXTS, HELD_OUT_TEXTS } from "@lopper/calibration-texts";
import { CALIBRATION_TEXT, DEMO_MODEL, DEMO_MODEL_NAME, HELD_OUT_TEXT } from "@lopper/demo-model";
import { LopperError } from "@lopper/core";
import type { ModelFolder } from "@lopper/formats";

/** Files of the model that comes with the page. */
const FILES = [
  "config.json",
  "generation_config.json",
  "model.safetensors",
  "tokenizer.json",
  "tokenizer_config.json",
];

/** The model that comes with the page. */
export async function embeddedModel(): Promise<ModelFolder> {
  const blobs = await Promise.all(FILES.map((file) => fetched(new URL(file, DEMO_MODEL))));
  return new BlobFolder(DEMO_MODEL_NAME, new Map(blobs.map((blob, i) => [FILES[i], blob])));
}

/** The texts that come with the page: to judge by, and what decides nothing. */
export const EMBEDDED_TEXTS = {
  books: () => fetched(CALIBRATION_TEXT),
  /** As much of each kind. */
  mix: () => Promise.all([CALIBRATION_TEXT, ...Object.values(CALIBRATION_TEXTS)].map(fetched)),
  heldOut: () => fetched(HELD_OUT_TEXT),
  /** The same of each kind. */
  heldOutMix: () =>
    Promise.all(
      Object.entries({ books: HELD_OUT_TEXT, ...HELD_OUT_TEXTS })
        .map(async ([name, url]) => ({ name, blob: await fetched(url) })),
    ),
} as const;

async function fetched(url: URL): Promise<Blob> {
  const answer = await fetch(url).catch(() => null);
  if (answer?.ok) return await answer.blob();
  const name = url.pathname.split("/").at(-1);
  throw new LopperError(
    `${name} did not come from where this page is; it is kept for use offline once the page was loaded whole`,
  );
}
