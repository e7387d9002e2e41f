import { flagOf, type Option, type OptionTable, WordError } from "@lopper/options";
import { type Command, InvalidArgumentError, Option as CommanderOption } from "commander";
import { userPath } from "./paths.ts";

/**
 * Adds the options of a table to a command; `OptionValues` of the table is what its action gets.
 */
export function addOptions(command: Command, table: OptionTable): Command {
  for (const [key, option] of Object.entries(table)) {
    command.addOption(commanderOption(key, flagOf(key, option.form), option));
    // Said in the help already, and in words.
    if (option.without !== undefined) {
      command.setOptionValueWithSource(key, option.without, "default");
    }
    const { alias } = option;
    if (alias === undefined) continue;
    const earlier = typeof alias === "string"
      ? commanderOption(key, alias, option)
      : commanderOption(key, alias.flag, option, alias);
    command.addOption(earlier.hideHelp());
  }
  return command;
}

/**
 * @param flag as it is written: its name, or an earlier one.
 * @param said the value that the flag gives by itself.
 */
function commanderOption(
  key: string,
  flag: string,
  option: Option<unknown>,
  said?: { readonly value: unknown },
): CommanderOption {
  const { form, help, isNeeded, conflicts } = option;
  const stated = option.stated ?? statedValue(option);
  const made = new CommanderOption(
    form.argument === null || said ? flag : `${flag} <${form.argument}>`,
    stated === undefined ? help : `${help} (default: ${stated})`,
  );
  // Both names say the same.
  made.attributeName = () => key;
  if (form.choices) made.choices(form.choices);
  if (form.argument !== null) made.argParser((word, before) => valueOf(option, word, before));
  if (said) made.preset(form.words(said.value)[0]);
  if (isNeeded) made.makeOptionMandatory();
  return made.conflicts([...conflicts ?? []]);
}

function statedValue({ form, without }: Option<unknown>): string | undefined {
  const words = without === undefined || form.argument === null ? [] : form.words(without);
  return words.join(" ") || undefined;
}

function valueOf(
  { form: { parse, isList }, without }: Option<unknown>,
  word: string,
  before: unknown,
) {
  try {
    const value = parse(word, { absolute: userPath });
    return isList && before !== without ? [...before as unknown[], ...value as unknown[]] : value;
  } catch (error) {
    if (error instanceof WordError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}
