/**
 * The picture of the layers alone, for pages that show it while a run goes on: it loads nothing
 * else.
 */
export { picturedLayers } from "./sections/removed.ts";
export { PICTURE_STYLE } from "./style.ts";
