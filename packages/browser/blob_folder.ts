import { BlobSource, ListedFolder } from "@lopper/formats";

/** Files that somebody dropped or chose, by their paths with slashes. */
export class BlobFolder extends ListedFolder<Blob> {
  /** @param onOpen hears the path of each file that is opened. */
  constructor(
    name: string,
    files: ReadonlyMap<string, Blob>,
    onOpen: (path: string) => void = () => {},
  ) {
    super(name, files, (named, blob, path) => {
      onOpen(path);
      return new BlobSource(named, blob);
    });
  }
}
