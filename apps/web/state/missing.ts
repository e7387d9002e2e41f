/** What of a browser the page has a use for. */
interface Browser {
  readonly isSecureContext: boolean;
  readonly Symbol: object;
  readonly Float16Array?: unknown;
  readonly navigator: {
    readonly storage?: { readonly getDirectory?: unknown };
    readonly locks?: unknown;
  };
}

/** Why the page cannot work in this browser, as a sentence; null where it can. */
export function missingIn({ isSecureContext, Symbol, Float16Array, navigator }: Browser) {
  if (!isSecureContext) {
    return "Browsers keep files only for pages that come over HTTPS, or from this computer: open this page so.";
  }
  const isThere = [Float16Array, navigator.storage?.getDirectory, navigator.locks]
    .every((part) => part !== undefined);
  // It came with declarations that end by themselves, which no page can ask for.
  if (isThere && "asyncDispose" in Symbol) return null;
  return "This browser lacks something that the page needs; a current Chrome, Edge or Firefox has it.";
}
