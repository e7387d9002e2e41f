/**
 * Far deeper than anything that Lopper writes; what walks through JSON later may do so without a
 * thought of its stack.
 */
const MAX_DEPTH = 64;

/**
 * Parses JSON that decides something. What `JSON.parse` would take in silence, or what programs
 * read in different ways, is refused: a key twice in one object (the last one would count), the key
 * `__proto__`, numbers beyond the largest one (they would be infinite, and null when they are
 * written again), and nesting without end.
 * @param options.lastCounts takes a key that is there twice, as other programs do.
 * @throws {SyntaxError} saying what is wrong in a few words; the caller names the file.
 */
export function parseStrictJson(
  text: string,
  { lastCounts = false }: { readonly lastCounts?: boolean } = {},
): unknown {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    // A RangeError is V8's answer to nesting without end.
    throw new SyntaxError(oneLine(`not JSON (${(error as Error).message})`), { cause: error });
  }
  checkParts(text, lastCounts);
  return json;
}

/** `text` is JSON, so that a look at its quotes, brackets and numbers is enough. */
function checkParts(text: string, lastCounts: boolean) {
  /** The keys so far of each object that is open; null for a list. */
  const open: (Set<string> | null)[] = [];
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === "{" || character === "[") {
      open.push(character === "{" ? new Set() : null);
      if (open.length > MAX_DEPTH) {
        throw new SyntaxError(`it is nested more than ${MAX_DEPTH} deep`);
      }
    } else if (character === "}" || character === "]") {
      open.pop();
    } else if (character === '"') {
      const start = i;
      for (i += 1; text[i] !== '"'; i++) if (text[i] === "\\") i += 1;
      const keys = open.at(-1);
      if (!keys || !isKey(text, i + 1)) continue;
      const key = JSON.parse(text.slice(start, i + 1)) as string;
      if (key === "__proto__") throw new SyntaxError("it has a key __proto__");
      if (keys.has(key) && !lastCounts) {
        throw new SyntaxError(`it has the key ${JSON.stringify(key)} twice`);
      }
      keys.add(key);
    } else if (character === "-" || isDigit(character)) {
      const start = i;
      while (isDigit(text[i + 1]) || ".eE+-".includes(text[i + 1] ?? " ")) i += 1;
      const number = text.slice(start, i + 1);
      if (!Number.isFinite(Number(number))) {
        throw new SyntaxError(`it has the number ${number.slice(0, 20)}, which is too large`);
      }
    }
  }
}

function isDigit(character: string | undefined): boolean {
  return character !== undefined && character >= "0" && character <= "9";
}

/** Whether a colon follows, behind white space. */
function isKey(text: string, from: number): boolean {
  let next = from;
  while (" \t\r\n".includes(text[next])) next += 1;
  return text[next] === ":";
}

/** What a schema finds wrong, in words: the first place, and what is needed there. */
export function describeIssue(
  issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[],
): string {
  const { path, message } = issues[0];
  return oneLine(`at ${path.map(String).join(".") || "the top"}: ${message}`);
}

/** V8 and schemas quote what they found, line ends and all. */
function oneLine(message: string): string {
  return message.replace(/[\s\p{Cc}]+/gu, " ");
}
