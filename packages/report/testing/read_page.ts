/** An element of a page, with what is in it in order. */
export interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly (Element | string)[];
}

const VOID = new Set(["meta", "link"]);
const TOKEN =
  /<!DOCTYPE html>|<\/([a-zA-Z][\w-]*)>|<([a-zA-Z][\w-]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>|([^<]+)/gy;
const ENTITY = /&(?:amp|lt|gt|quot|#39);/g;
const CHARACTERS: Readonly<Record<string, string>> = {
  "&amp;": "&",
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&#39;": "'",
};

/**
 * Reads a page more strictly than a browser does: every element is closed, every attribute in
 * double quotes, nothing is left unescaped.
 * @throws {SyntaxError} naming the place.
 */
export function readPage(text: string): Element {
  const root = { name: "", attributes: {}, children: [] as (Element | string)[] };
  const open: { name: string; children: (Element | string)[] }[] = [root];
  let at = 0;
  while (at < text.length) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    const here = JSON.stringify(text.slice(at, at + 60));
    if (!match) throw new SyntaxError(`neither a tag nor text: ${here}`);
    const [whole, closing, opening, attributes, empty, content] = match;
    const parent = open.at(-1)!;
    if (closing !== undefined) {
      if (parent.name !== closing) throw new SyntaxError(`<${parent.name}> is open at ${here}`);
      open.pop();
    } else if (opening !== undefined) {
      const element = { name: opening, attributes: readAttributes(attributes), children: [] };
      parent.children.push(element);
      if (VOID.has(opening) !== (empty === "/") && VOID.has(opening)) {
        throw new SyntaxError(`${here} has no end`);
      }
      if (empty !== "/") open.push(element);
    } else if (content !== undefined) {
      parent.children.push(unescaped(content, parent.name));
    }
    at += whole.length;
  }
  if (open.length !== 1) throw new SyntaxError(`<${open.at(-1)!.name}> is never closed`);
  return root;
}

function readAttributes(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [, name, value] of text.matchAll(/\s([\w:-]+)="([^"]*)"/g)) {
    if (name in found) throw new SyntaxError(`${name} is there twice: ${text}`);
    found[name] = unescaped(value, name);
  }
  return found;
}

function unescaped(text: string, where: string): string {
  const bare = text.replace(ENTITY, "");
  if (where !== "style" && bare.includes("&")) throw new SyntaxError(`a bare & in ${text}`);
  return text.replace(ENTITY, (entity) => CHARACTERS[entity]);
}

/** All elements of a page by name, in order. */
export function all(root: Element, name: string): readonly Element[] {
  const own = root.name === name ? [root] : [];
  return [...own, ...elements(root).flatMap((child) => all(child, name))];
}

export function elements({ children }: Element): readonly Element[] {
  return children.filter((child) => typeof child !== "string");
}

/** The text of an element as it is read out, spaces as one. */
export function textOf(element: Element): string {
  const text = (child: Element | string): string =>
    typeof child === "string" ? child : child.children.map(text).join("");
  return text(element).replace(/\s+/g, " ").trim();
}

/** The cells of the table with a caption, row by row, its head included. */
export function tableOf(root: Element, caption: string): readonly (readonly string[])[] {
  const table = all(root, "table").find((candidate) =>
    textOf(all(candidate, "caption")[0]) === caption
  );
  if (!table) throw new Error(`there is no table ${caption}`);
  return all(table, "tr").map((row) => elements(row).map(textOf));
}

/** What keeps a page from standing alone, or from being read: in words, none for a good page. */
export function faultsOf(root: Element): readonly string[] {
  const faults: string[] = [];
  const ids = new Set<string>();
  const everything: Element[] = [];
  const visit = (element: Element) => {
    everything.push(element);
    elements(element).forEach(visit);
  };
  visit(root);
  for (const { attributes: { id } } of everything) {
    if (id === undefined) continue;
    if (ids.has(id)) faults.push(`the id ${id} is there twice`);
    ids.add(id);
  }
  for (const { name, attributes, children } of everything) {
    if (["script", "img", "iframe", "object"].includes(name)) faults.push(`a <${name}>`);
    for (const [key, value] of Object.entries(attributes)) {
      if (/^on/.test(key)) faults.push(`${name} has ${key}`);
      if (key === "aria-labelledby") {
        const lost = value.split(" ").filter((id) => !ids.has(id));
        if (lost.length > 0) faults.push(`${name} is labelled by ${lost}, which is not there`);
      }
      if (/(^|:)(href|src)$/.test(key)) {
        const inside = value.startsWith("#") && ids.has(value.slice(1));
        if (!inside && value !== "data:,") faults.push(`${name} refers to ${value}`);
      }
      if (/url\(|https?:|@import/.test(value) && key !== "xmlns") {
        faults.push(`${name} has ${key}="${value}"`);
      }
      if (/NaN|undefined|Infinity/.test(value)) faults.push(`${name} has ${key}="${value}"`);
    }
    if (name === "style" && /url\(|@import/.test(String(children[0]))) faults.push("style loads");
    if (name === "svg" && attributes["aria-hidden"] !== "true") {
      const [title, desc] = elements({ name, attributes, children });
      if (title?.name !== "title" || desc?.name !== "desc" || attributes.role !== "img") {
        faults.push("a picture without title and description");
      }
    }
    if (name === "table" && elements({ name, attributes, children })[0]?.name !== "caption") {
      faults.push("a table without a caption");
    }
  }
  return faults;
}
