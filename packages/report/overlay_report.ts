import { formatChange, formatCount, formatPerplexity, formatSeconds, plural } from "@lopper/core";
import type { RunRecord } from "@lopper/run";
import { type Html, html } from "./html.ts";
import {
  calibrationCurve,
  type Curve,
  heldOutCurve,
  overlayLegend,
  overlayPlot,
} from "./overlay_plot.ts";
import { renderPage } from "./page.ts";
import type { ReportRun } from "./report_run.ts";
import type { Section } from "./section.ts";
import { table } from "./table.ts";

/** The page of several runs: their frontiers over each other, and in what they differ. */
export async function overlayReport(runs: readonly ReportRun[]): Promise<string> {
  return renderPage({
    title: `${plural(runs.length, "run")} side by side`,
    kind: "Lopper report",
    summary: summary(runs),
    sections: [await frontiers(runs), differences(runs), commands(runs)],
  });
}

function summary(runs: readonly ReportRun[]): Html {
  const comparable = sameText(runs, ({ heldOutDigest }) => heldOutDigest);
  return html`${
    table({
      caption: "What each run removed, and what it did",
      head: [
        "run",
        "model",
        "removed",
        "parameters left",
        "perplexity, held-out",
        "over dense",
        "calibration, over dense",
        "block-tokens",
        "time",
      ],
      words: 2,
      rows: runs.map(({ name, model, record }) => {
        const { heldOut, calibration } = record.perplexity;
        return [
          name,
          model,
          `${record.ratio.toFixed(2)} %`,
          formatCount(record.parameters.pruned),
          formatPerplexity(heldOut.pruned),
          html`<strong>${formatChange(heldOut.dense, heldOut.pruned)}</strong>`,
          formatChange(calibration.dense, calibration.pruned),
          record.steps > 0 ? formatCount(Math.round(record.blockTokens.spent)) : "–",
          formatSeconds(record.wallSeconds),
        ];
      }),
    })
  }${
    !comparable &&
    html`<p>The runs were measured on different held-out texts, or with different tokens: compare their perplexities with care.</p>`
  }`;
}

async function frontiers(runs: readonly ReportRun[]): Promise<Section> {
  const heldOut = runs.map(({ name, record }) => heldOutCurve(name, record));
  const calibration = runs.map(({ name, record }) => calibrationCurve(name, record));
  const same = sameText(runs, ({ calibrationDigest }) => calibrationDigest.block);
  const [onHeldOut, onCalibration] = [
    await overlayPlot(heldOut, {
      id: "held-out",
      title: "Rise of the perplexity on the held-out text",
      description: ends(heldOut),
    }),
    await overlayPlot(calibration, {
      id: "calibration",
      title: "Rise of the perplexity on the calibration text",
      description: ends(calibration),
    }),
  ];
  const content = html`
    <p>How far perplexity rose over the dense model’s, in per cent, against what was removed. A dashed line joins ends of a run whose steps were not measured on that text.</p>
    <div class="pair">
      <figure><figcaption>Held-out text</figcaption>${onHeldOut}</figure>
      <figure><figcaption>Calibration text${!same && html`
        <span class="note">not the same one in every run</span>
      `}</figcaption>${onCalibration}</figure>
    </div>
    ${overlayLegend(runs.map(({ name }) => name))}
    <p class="note">The steps of each run as a table are on its own page.</p>
  `;
  return { id: "frontiers", title: "Perplexity against size", content };
}

function ends(curves: readonly Curve[]): string {
  return curves.map(({ name, points }) => {
    const { ratio, rise } = points.at(-1)!;
    return `${name}: ${rise < 0 ? "−" : "+"}${Math.abs(rise).toFixed(1)} % at ${
      ratio.toFixed(2)
    } % removed.`;
  }).join(" ");
}

/** Everything that decided the runs and was not the same in all. */
function differences(runs: readonly ReportRun[]): Section {
  const facts = runs.map(({ record }) => factsOf(record));
  const names = [...new Set(facts.flatMap((of) => [...of.keys()]))];
  const differing = names.filter((name) =>
    new Set(facts.map((of) => of.get(name) ?? "–")).size > 1
  );
  const content = differing.length === 0
    ? html`<p>Nothing: the runs have the same settings.</p>`
    : table({
      caption: "Settings that are not the same in all runs",
      head: ["setting", ...runs.map(({ name }) => name)],
      words: runs.length + 1,
      rows: differing.map((name) => [name, ...facts.map((of) => of.get(name) ?? "–")]),
    });
  return { id: "differences", title: "In what they differ", content };
}

function factsOf(record: RunRecord): ReadonlyMap<string, string> {
  const short = (digest: string) => digest.replace(/^sha256:/, "").slice(0, 12);
  return new Map([
    ["Lopper", record.version],
    ["dense model (digest)", short(record.modelDigest)],
    ["calibration text (digest)", short(record.calibrationDigest.block)],
    ["held-out text (digest)", short(record.heldOutDigest)],
    ["backend", `${record.backend.name}, ${record.backend.engine}`],
    ["plan applied", record.plan ?? "none"],
    ...Object.entries(record.flags)
      .filter(([name]) => name !== "export")
      .map(([name, value]): [string, string] => [words(name), shown(value)]),
  ]);
}

/** "maxPplIncrease" as "max ppl increase". */
function words(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function shown(value: unknown): string {
  if (value === null || value === "") return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return Array.isArray(value) ? value.join(", ") || "–" : String(value);
}

function commands(runs: readonly ReportRun[]): Section {
  const content = html`${
    runs.map(({ name, commands }, i) =>
      html`<h3>${name}</h3>
<pre tabindex="0" role="region" aria-label="${`Command ${i + 1}, ${name}`}"><code>${
        commands.join("\n")
      }</code></pre>`
    )
  }`;
  return { id: "again", title: "Make them again", content };
}

function sameText(runs: readonly ReportRun[], digest: (record: RunRecord) => string): boolean {
  return new Set(runs.map(({ record }) => digest(record))).size === 1;
}
