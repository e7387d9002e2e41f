export {
  choice,
  decimal,
  type Form,
  MAX_SEED,
  names,
  off,
  on,
  path,
  percent,
  text,
  texts,
  wholeNumber,
  WordError,
} from "./form.ts";
export { MEMORY, memoryBudget } from "./memory.ts";
export {
  checkParts,
  flagOf,
  HUB,
  type Option,
  type OptionTable,
  type OptionValues,
  OUTPUT,
  wordsOf,
} from "./option.ts";
export { size } from "./size.ts";
