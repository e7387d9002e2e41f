import { type OptionTable, wordsOf } from "@lopper/options";
import { RUN_OPTIONS } from "./options/run_options.ts";
import { isSetting, type Setting } from "./options/setting.ts";
import type { RunRecord } from "./schemas/record.ts";

type Values = Readonly<Record<string, unknown>>;

/**
 * The words behind `prune` that make a run again, with everything that decided it said: one
 * command, or for a run that was extended one for each of its ratios.
 * @param out where the new run goes.
 */
export function commandsOfRun(record: RunRecord, out: string): readonly (readonly string[])[] {
  const { flags, plan, backend: { name, threads } } = record;
  const model = flags.model === null ? [] : [flags.model];
  const engine = { backend: name, threads: threads > 0 ? threads : null };
  const said = (which: (setting: Setting<unknown>) => boolean) => saidOf(RUN_OPTIONS, flags, which);
  if (plan !== null) {
    const ratio = record.frontier.length > 0 ? record.ratio : null;
    const settings = said(({ isOfSearch }) => !isOfSearch);
    const part = wordsOf(RUN_OPTIONS, { ...settings, ...engine, ratio, out });
    return [[...model, ...wordsOf(RUN_OPTIONS, { plan }), ...part]];
  }
  const [first, ...later] = [...flags.earlierRatios, flags.ratio];
  const begin: Values = { ...said(({ isOfEnd }) => !isOfEnd), ...engine };
  const commands: Values[] = [
    begin.ratio === undefined ? begin : { ...begin, ratio: first },
    ...later.map((ratio) => ({ ratio })),
  ];
  return commands.map((values, i) => {
    const end = i === later.length ? said(({ isOfEnd }) => isOfEnd === true) : {};
    const words = wordsOf(RUN_OPTIONS, { ...values, ...end, out });
    return [...(i === 0 ? model : wordsOf(RUN_OPTIONS, { resume: true })), ...words];
  });
}

/**
 * Those settings of a table that a command line has to say, by their keys: others say some already.
 */
export function saidOf(
  table: OptionTable,
  flags: Values,
  which: (setting: Setting<unknown>) => boolean,
): Values {
  return Object.fromEntries(
    Object.entries(table).flatMap(([key, option]) =>
      isSetting(option) && which(option) && !option.isSaidBy?.(flags) ? [[key, flags[key]]] : []
    ),
  );
}
