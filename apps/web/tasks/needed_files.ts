import { CARD_FILE } from "@lopper/card";
import { fateOf } from "@lopper/models";

/**
 * Files of a model that a run needs to go on later: those that were read, what is handed on with a
 * result, its card, which the card of the result follows, and what lies beside an ONNX file, since
 * its weights are read when they are wanted. What is passed over takes no room.
 * @param read paths of the files that were opened.
 */
export function neededFiles<T>(
  files: ReadonlyMap<string, T>,
  read: ReadonlySet<string>,
): ReadonlyMap<string, T> {
  const folderOf = (path: string) => path.slice(0, path.lastIndexOf("/") + 1);
  const graphs = new Set([...read].filter((path) => /\.onnx$/i.test(path)).map(folderOf));
  return new Map([...files].filter(([path]) => {
    const isHandedOn = ["carried", "terms"].includes(String(fateOf(path)));
    return read.has(path) || isHandedOn || path === CARD_FILE || graphs.has(folderOf(path));
  }));
}
