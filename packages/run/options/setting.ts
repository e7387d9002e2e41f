import type { Form, Option } from "@lopper/options";
import type { z } from "zod";
import type { PresetSettings } from "../presets.ts";

/** What the value of a setting depends on that nobody gave. */
export interface Defaults {
  /**
   * What the preset says, or what is said of the embedded model or of a plan that is applied as it
   * is.
   */
  readonly preset: PresetSettings;
  /** Tokens that the model takes. */
  readonly longest: number;
  /** Channels that go at a time where nobody says otherwise. */
  readonly groups: {
    readonly mlp: number;
    readonly attention: number;
    /** Null where the model has no experts. */
    readonly experts: number | null;
  };
}

/**
 * What a run that goes on may do with a setting: it stays as it is, since it decides what the
 * search does; or grows, and takes the run further; or is free.
 */
export type Decides = "same" | "grows" | "free";

/** An option whose value the settings of a run hold. */
export interface Setting<V, S extends V | null = V | null> extends Option<V> {
  readonly schema: z.ZodType<S>;
  readonly usual: (at: Defaults) => S;
  readonly decides: Decides;
  /** Only a search asks for it; a plan that is applied has none. */
  readonly isOfSearch?: true;
  /** It is about the result, and a run that is extended needs it at its end only. */
  readonly isOfEnd?: true;
  /** Whether other settings say it, so that a command line does not. */
  readonly isSaidBy?: (flags: Readonly<Record<string, unknown>>) => boolean;
}

type Row<V, S extends V | null> = Omit<Setting<V, S>, "form" | "schema" | "usual">;

/** A setting that always has a value. */
export function setting<V>(
  form: Form<V>,
  { schema = form.schema, ...row }: Row<V, V> & {
    readonly usual: (at: Defaults) => V;
    readonly schema?: z.ZodType<V>;
  },
): Setting<V, V> {
  return { form, schema, ...row };
}

/** A setting that has none until somebody gives one. */
export function optional<V>(
  form: Form<V>,
  { schema = form.schema.nullable(), ...row }: Row<V, V | null> & {
    readonly schema?: z.ZodType<V | null>;
  },
): Setting<V, V | null> {
  return { form, schema, usual: () => null, ...row };
}

/** The settings of a table, without what is only about this command. */
export function isSetting<V>(option: Option<V>): option is Setting<V> {
  return "usual" in option;
}
