/** Light and dark by what the reader's system says. */
const COLOURS = `:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1c2127; --muted: #59636e; --line: #d5dae0; --soft: #f4f6f8;
  --accent: #b34700; --bar: #8b97a5; --attention: #2a66a8; --mlp: #2f7d6b; --link: #1f5f9f;
  --run-0: #1f5fa8; --run-1: #b34700; --run-2: #1f7a5a; --run-3: #8a2d8f; --run-4: #7d6200; --run-5: #b3123f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181d; --ink: #e7ebef; --muted: #a3adb8; --line: #3a424c; --soft: #1d232a;
    --accent: #ff9d5c; --bar: #74808d; --attention: #74aef0; --mlp: #6cc5ae; --link: #86bbf5;
    --run-0: #74aef0; --run-1: #ff9d5c; --run-2: #6cc5ae; --run-3: #d895dd; --run-4: #d9bd55; --run-5: #ff8fa3;
  }
}`;

const PICTURE = `.picture text { fill: var(--ink); }
.picture .head text, .picture .number, .picture .same, .picture .note { fill: var(--muted); }
.picture .less { font-weight: 600; }
.picture .note { font-size: 0.85em; }
.picture .attention { fill: var(--attention); }
.picture .mlp { fill: var(--mlp); }
.picture .gone { fill: none; stroke: var(--muted); stroke-dasharray: 3 3; }
.picture .between { stroke: var(--paper); stroke-width: 1; }`;

/**
 * The style sheet of a page: light and dark by what the reader's system says, black on white on
 * paper.
 */
export const STYLE = `
${COLOURS}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; max-width: 56rem; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0.15rem 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.75rem 0 0.5rem; padding-top: 0.9rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.5rem 0 0.35rem; }
p { margin: 0.5rem 0; max-width: 46rem; }
a { color: var(--link); }
.kind { color: var(--muted); margin: 0; }
.lead { font-size: 1.15rem; margin-top: 1.5rem; }
.note, footer { color: var(--muted); font-size: 0.875rem; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: 0.15rem 1.25rem; padding: 0; margin: 1rem 0 0; font-size: 0.9rem; }
code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: 0.85em; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: 0.8rem 1rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.digest { overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: 0.75rem 0; }
table { border-collapse: collapse; font-size: 0.92rem; font-variant-numeric: tabular-nums; min-width: min(100%, 30rem); }
caption { text-align: left; font-weight: 600; padding: 0.25rem 0; }
th, td { padding: 0.3rem 0.9rem 0.3rem 0; border-bottom: 1px solid var(--line); vertical-align: baseline; }
thead th { color: var(--muted); font-weight: 500; }
tbody th { font-weight: 400; }
.word { text-align: left; }
.figure { text-align: right; white-space: nowrap; }
thead .figure { white-space: normal; vertical-align: bottom; }
tbody .word { min-width: 6.5rem; overflow-wrap: anywhere; }
figure { margin: 1rem 0; }
figcaption { font-weight: 600; font-size: 0.92rem; margin-bottom: 0.25rem; }
figcaption .note { font-weight: 400; display: block; }
svg { font-family: inherit; }
.plot, .picture { display: block; width: 100%; height: auto; overflow: visible; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 0 2rem; }
.pair > figure { max-width: 34rem; min-width: 0; }
${PICTURE}
.picture.narrow { display: none; }
@media (max-width: 40rem) {
  body { padding: 1.25rem 1rem 3rem; }
  .picture.wide { display: none; }
  .picture.narrow { display: block; }
}
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 0.2rem 1.25rem; padding: 0; margin: 0.5rem 0; font-size: 0.875rem; color: var(--muted); }
.legend .sign { fill: var(--accent); }
.legend .nobody, .experts .nobody { fill: var(--bar); }
.legend .open { fill: var(--paper); stroke: var(--accent); stroke-width: 1.5; }
details { margin: 0.75rem 0; }
summary { cursor: pointer; color: var(--link); font-size: 0.92rem; }
.sample { border-left: 3px solid var(--line); padding: 0.1rem 0 0.1rem 1rem; margin: 1rem 0; }
blockquote { margin: 0.2rem 0 0.75rem; padding-left: 1rem; border-left: 3px solid var(--line); overflow-wrap: anywhere; }
.worst { padding-left: 1.5rem; }
.prompt { font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.35rem 1rem; margin: 0.5rem 0; }
dt { color: var(--muted); }
dd { margin: 0; overflow-wrap: anywhere; }
footer { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: 0.75rem; }
@media print {
  :root {
    color-scheme: light;
    --paper: #ffffff; --ink: #000000; --muted: #444444; --line: #bbbbbb; --soft: #ffffff;
    --accent: #b34700; --bar: #8b97a5; --attention: #2a66a8; --mlp: #2f7d6b; --link: #000000;
    --run-0: #1f5fa8; --run-1: #b34700; --run-2: #1f7a5a; --run-3: #8a2d8f; --run-4: #7d6200; --run-5: #b3123f;
  }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  html { font-size: 10pt; }
  body { max-width: none; padding: 0; }
  nav { display: none; }
  h2 { break-after: avoid; margin-top: 1.5rem; }
  figure, tr, .sample, pre { break-inside: avoid; }
  .picture.wide { display: block; max-width: 160mm; }
  .picture.narrow { display: none; }
  .pair { grid-template-columns: 1fr 1fr; }
  details::details-content { display: block; content-visibility: visible; height: auto; }
  summary { display: none; }
  .scroll { overflow: visible; }
}
`;

/** The style sheet of a picture of layers that stands in a file of its own. */
export const PICTURE_STYLE = `
${COLOURS}
svg { background: var(--paper); font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
${PICTURE}
`;
