import { parse, resetSVGDefIds, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { Html, html } from "./html.ts";

/** Units that a plot is wide: its text is then as large on a telephone as the text beside it. */
const PLOT_WIDTH = 360;

export interface Plot {
  /** Starts the ids of its title and description; unique on the page. */
  readonly id: string;
  readonly title: string;
  /** What it shows, in words. */
  readonly description: string;
  readonly spec: Record<string, unknown>;
}

/** An axis of names from top to bottom, in the order in which they come. */
export function namesAxis(field: string) {
  return {
    field,
    type: "nominal",
    title: null,
    sort: null,
    axis: { domain: false, ticks: false },
  };
}

/** An upright line where nothing changes. @param x the scale that it shares with the values. */
export function zeroLine(x: Readonly<Record<string, unknown>>) {
  return {
    data: { values: [{ zero: 0 }] },
    mark: { type: "rule", color: "var(--muted)" },
    encoding: { x: { ...x, field: "zero" } },
  };
}

/** Colours are those of the page, which has them for light and dark. */
const CONFIG = {
  // The picture as a whole has a title, a description and a table; its parts would only be noise.
  aria: false,
  background: null,
  font: "inherit",
  view: { stroke: null },
  axis: {
    labelColor: "var(--muted)",
    titleColor: "var(--muted)",
    titleFontWeight: "normal",
    labelFontSize: 11,
    titleFontSize: 11,
    titlePadding: 8,
    gridColor: "var(--line)",
    domainColor: "var(--line)",
    tickColor: "var(--line)",
    labelOverlap: true,
  },
} as const;

/**
 * Draws a plot as SVG that scales with its place. Text widths are estimated, so that the same data
 * gives the same bytes everywhere.
 */
export async function drawPlot({ id, title, description, spec }: Plot): Promise<Html> {
  resetSVGDefIds();
  const whole = {
    width: PLOT_WIDTH,
    autosize: { type: "fit-x", contains: "padding" },
    padding: 2,
    ...spec,
    config: CONFIG,
  };
  const view = new View(parse(compile(whole as unknown as TopLevelSpec).spec), {
    renderer: "none",
  });
  try {
    const svg = await view.toSVG();
    const box = /viewBox="([\d. ]+)"/.exec(svg)?.[1];
    const start = svg.indexOf(">") + 1;
    const inner = svg.slice(start, svg.lastIndexOf("</svg>"));
    return html`
      <svg class="plot" role="img" aria-labelledby="${id}-title ${id}-desc"
        viewBox="${box}">
        <title id="${id}-title">${title}</title>
        <desc id="${id}-desc">${description}</desc>
        <g aria-hidden="true">${new Html(
          inner.replace(/ (?:role|aria-[a-z]+)="[^"]*"/g, ""),
        )}</g>
      </svg>
    `;
  } finally {
    view.finalize();
  }
}
