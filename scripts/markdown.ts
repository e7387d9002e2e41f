/** A table as `deno fmt` lays it out. */
export function markdown([head, ...rows]: readonly (readonly string[])[]): string {
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((cells) => cells[i].length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((text, i) => text.padEnd(widths[i])).join(" | ")} |`;
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [line(head), rule, ...rows.map(line)].join("\n");
}

/** A text in lines as long as `deno fmt` makes them, those after the first indented. */
export function wrapped(text: string, indent = ""): string {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && longer.length <= 100) lines[lines.length - 1] = longer;
    else lines.push(lines.length === 0 ? word : indent + word);
  }
  return lines.join("\n");
}

/** Notes, numbered; lines after the first begin below the text of the first. */
export function numbered(notes: readonly string[]): string {
  return notes.map((note, i) => {
    const label = `${i + 1}. `;
    return wrapped(label + note, " ".repeat(label.length));
  }).join("\n");
}
