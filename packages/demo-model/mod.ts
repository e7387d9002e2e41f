/**
 * The embedded default: a 5.5 M-parameter Llama checkpoint trained on public-domain books
 * (scripts/train_demo.py), public-domain calibration text, and an excerpt of Moby Dick, which the
 * model never saw. `data/README.md` has the sources.
 */
export const DEMO_MODEL = new URL("./data/model/", import.meta.url);
export const DEMO_MODEL_NAME = "lopper-demo";
/** `.jsonl`, field `text`: passages of 16 books, in random order. */
export const CALIBRATION_TEXT = new URL("./data/calibration.jsonl", import.meta.url);
/** The first chapters of Moby Dick. */
export const HELD_OUT_TEXT = new URL("./data/held_out.txt", import.meta.url);
/** The length on which the model was trained, in tokens. */
export const DEMO_SEQUENCE_LENGTH = 256;
/** A small model needs no large steps: groups of channels that its MLPs have. */
export const DEMO_MLP_GROUPS = 8;
/** Samples with which the default run ends within a minute on two cores. */
export const DEMO_SAMPLES = { block: 16, width: 8 } as const;
