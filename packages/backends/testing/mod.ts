export { maxAbsDifference } from "./reference.ts";
