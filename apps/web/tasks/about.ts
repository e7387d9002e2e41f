import { RunFolderError } from "@lopper/core";
import { RUN_OPTIONS } from "@lopper/run";
import { z } from "zod";

/** What a page asks of a run; the settings have a default for the rest. */
const askedSchema = z.strictObject({
  ratio: RUN_OPTIONS.ratio.schema,
  preset: RUN_OPTIONS.preset.schema,
  samples: RUN_OPTIONS.samples.schema.optional(),
  seqLen: RUN_OPTIONS.seqLen.schema.optional(),
}).readonly();

const aboutSchema = z.strictObject({
  kind: z.literal("lopper-web-run"),
  /** What the model is called. */
  title: z.string().max(1000),
  /** Whether it is the model that comes with the page; another lies beside this. */
  isEmbedded: z.boolean(),
  /** The file of a text of the user's to judge by; null for the one that comes with the page. */
  text: z.string().max(1000).nullable(),
  asked: askedSchema,
  /** When it was begun. */
  begun: z.iso.datetime(),
}).readonly();

export type Asked = z.infer<typeof askedSchema>;
/** What a run in the browser's storage is a run of. */
export type About = z.infer<typeof aboutSchema>;

/** @throws {RunFolderError} for what no page of this version wrote. */
export function parseAbout(text: string, file: string): About {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = null;
  }
  const { data } = aboutSchema.safeParse(json);
  if (data) return data;
  throw new RunFolderError(`${file} is not what this version of Lopper writes there`);
}
