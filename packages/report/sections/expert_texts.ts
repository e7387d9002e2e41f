import { plural } from "@lopper/core";
import type { RunRecord } from "@lopper/run";
import { type Html, html } from "../html.ts";
import type { ReportRun } from "../report_run.ts";
import type { Section } from "../section.ts";
import { table } from "../table.ts";

type Routing = NonNullable<RunRecord["routing"]>;

/** Texts that have a colour each, as the style sheet has them. */
const COLOURS = 6;
const SHARES =
  "A figure is the share of a text's routing that went, in the dense model, to experts that were removed: of all pairs of a token and an expert that it goes to.";
const BARS =
  " A bar is an expert, in the order of the checkpoint and in the colour of the text that sends it the largest share of its own tokens; a high bar stays, a low one was removed.";
const TOO_MANY = " The texts are too many to have a colour each.";
/** Of a strip of experts, in pixels. */
const STRIP = { height: 14, low: 4, most: 6, width: 320 } as const;

/** Which calibration texts used the experts that went; null where nothing tells them apart. */
export function expertTextsSection({ record, plan }: ReportRun): Section | null {
  const { routing } = record;
  if (!routing) return null;
  const { texts, layers } = routing;
  const drawn = plan && texts.length <= COLOURS ? plan : null;
  const short = texts.flatMap(({ name, tokens }) => tokens === 0 ? [name] : []);
  const content = html`
    <p>${summary(routing)} ${SHARES}${drawn ? BARS : ""}${texts.length > COLOURS
      ? TOO_MANY
      : ""}</p>
    ${short.length > 0 && html`
      <p class="note">Not looked at, since what was drawn of it does not fill a sequence: ${short
        .join(", ")}.</p>
    `}${drawn && legend(routing)}${table({
      caption: "Routing to removed experts by text",
      head: [
        "layer",
        ...texts.map(({ name }) => name),
        ...drawn ? ["experts, by text"] : [],
      ],
      rows: [
        ...layers.map((layer) => [
          layer.layer,
          ...layer.removed.map(percent),
          ...drawn ? [strip(routing, layer, keptExperts(drawn, layer.layer))] : [],
        ]),
        ["all", ...meanRemoved(routing).map(percent), ...drawn ? [""] : []],
      ],
    })}
  `;
  return { id: "experts", title: "Experts by text", content };
}

function summary(routing: Routing): string {
  const found = meanRemoved(routing).flatMap((share, text) =>
    share === null ? [] : [{ share, ...routing.texts[text] }]
  ).sort((a, b) => b.share - a.share);
  const [first, last] = [found[0], found[found.length - 1]];
  return `Of the ${
    plural(found.length, "calibration text")
  }, ${first.name} used the removed experts most (${
    percent(first.share)
  } of its routing, mean of the layers) and ${last.name} least (${percent(last.share)}).`;
}

/** By text, the mean of the layers: each routes as many tokens. */
function meanRemoved({ texts, layers }: Routing): readonly (number | null)[] {
  return texts.map(({ tokens }, text) =>
    tokens === 0
      ? null
      : layers.reduce((sum, { removed }) => sum + (removed[text] ?? 0), 0) / layers.length
  );
}

function percent(share: number | null): string {
  return share === null ? "–" : `${(100 * share).toFixed(1)} %`;
}

/** Numbers of the experts of a layer that stay. */
function keptExperts(plan: NonNullable<ReportRun["plan"]>, layer: number): ReadonlySet<number> {
  const kept = Object.values(plan.layers[layer] ?? {}).flatMap((units) =>
    units === "removed" ? [] : units.experts ?? []
  );
  return new Set(kept);
}

/** The experts of a layer side by side; one path for each text, as a mixture may have hundreds. */
function strip(
  { texts }: Routing,
  { layer, most }: Routing["layers"][number],
  kept: ReadonlySet<number>,
): Html {
  const { height, low } = STRIP;
  const step = Math.min(STRIP.most, STRIP.width / most.length);
  const bars = (of: number | null) =>
    most.flatMap((text, expert) => {
      if (text !== of) return [];
      const tall = kept.has(expert) ? height : low;
      const [x, width] = [step * expert, step * 0.8].map((n) => Number(n.toFixed(2)));
      return [`M${x} ${height}h${width}v-${tall}h-${width}z`];
    }).join("");
  const width = Math.ceil(step * most.length);
  const said = texts.map(({ name }, text) => {
    const own = most.flatMap((of, expert) => of === text ? [expert] : []);
    return `${name} ${own.length}, of which ${
      own.filter((expert) => !kept.has(expert)).length
    } removed`;
  });
  const id = `experts-${layer}`;
  return html`
    <svg class="experts" role="img" aria-labelledby="${id}-title ${id}-desc"
      viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
    <title id="${id}-title">Experts of layer ${layer}</title>
    <desc id="${id}-desc">By the text that uses them most: ${said.join("; ")}.</desc>${[
      ...texts.keys(),
      null,
    ].map((text) => {
      const path = bars(text);
      return path !== "" && html`
        <path ${paint(text)} d="${path}" />
      `;
    })}</svg>
  `;
}

function paint(text: number | null): Html {
  return text === null ? html`class="nobody"` : html`fill="var(--run-${text})"`;
}

function legend({ texts, layers }: Routing): Html {
  const unused = layers.some(({ most }) => most.includes(null));
  const entries = [
    ...texts.map(({ name, tokens }, text) => ({
      text,
      said: `${name}, ${plural(tokens, "token")}`,
    })),
    ...unused ? [{ text: null, said: "none of them" }] : [],
  ];
  return html`<ul class="legend" aria-label="Texts">${
    entries.map(({ text, said }) =>
      html`<li><svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true"><path ${
        paint(text)
      } d="M1 1h10v10h-10z"/></svg> ${said}</li>`
    )
  }</ul>`;
}
