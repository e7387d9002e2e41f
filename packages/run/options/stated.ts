import type { OptionTable } from "@lopper/options";
import { type PresetName, PRESETS } from "@lopper/search";
import { AS_IT_IS, type PresetSettings, RUN_DEFAULTS, SETTINGS } from "../presets.ts";
import { isSetting, type Setting } from "./setting.ts";

/**
 * A table of a run's options with what the help says of each default: what Lopper's own settings
 * take, and where it is another, what the published presets, `quick`, `experts`, the embedded model
 * and a plan that is applied take.
 * @param embedded what is said of the embedded model.
 */
export function statedDefaults<T extends OptionTable>(
  table: T,
  embedded: Partial<PresetSettings>,
): T {
  return Object.fromEntries(
    Object.entries(table).map(([key, option]) => {
      const stated = option.stated ?? (isSetting(option) ? defaultOf(option, embedded) : undefined);
      return [key, stated === undefined ? option : { ...option, stated }];
    }),
  ) as unknown as T;
}

const COUNT = /^\d+$/;

/** Undefined where nothing is taken. */
function defaultOf(
  option: Setting<unknown>,
  embedded: Partial<PresetSettings>,
): string | undefined {
  const own = SETTINGS[RUN_DEFAULTS.preset];
  const taken = (preset: PresetSettings) => {
    // What a model takes is not known here.
    const at = { preset, longest: Infinity, groups: { mlp: NaN, attention: NaN, experts: null } };
    const value = option.usual(at);
    return value === null ? "" : option.form.words(value).join(" ");
  };
  const usual = taken(own);
  if (usual === "") return undefined;
  const published = (Object.keys(PRESETS) as PresetName[]).map((name) => taken(SETTINGS[name]));
  const others: readonly (readonly [string, string])[] = [
    [new Set(published).size === 1 ? published[0] : usual, "in the published presets"],
    [taken(SETTINGS.quick), "in the preset quick"],
    // How much text; that it goes by its own ranking is what it is.
    [COUNT.test(usual) ? taken(SETTINGS.experts) : usual, "in the preset experts"],
    [taken({ ...own, ...embedded }), "for the embedded model"],
    [option.isOfSearch ? usual : taken({ ...own, ...AS_IT_IS }), "for the file of --plan"],
  ];
  const differing = Map.groupBy(others.filter(([value]) => value !== usual), ([value]) => value);
  const said = [...differing].map(([value, all]) =>
    `${value} ${all.map(([, where]) => where).join(" and ")}`
  );
  return [usual, ...said].join("; ");
}
