import type { ScoredTask } from "@lopper/card";
import { formatPerplexity } from "@lopper/core";
import type { Estimate } from "@lopper/evaluation";
import { type Html, html } from "../html.ts";
import type { ReportRun } from "../report_run.ts";
import type { Section } from "../section.ts";
import { folded, table } from "../table.ts";
import { tasksPlot } from "../task_plot.ts";

/** Which tasks and texts suffered, where the result was compared with the dense model. */
export async function taskScoresSection({ scores }: ReportRun): Promise<Section | null> {
  if (!scores) return null;
  const { tasks, texts } = scores;
  const shares = tasks.filter(({ metric }) => metric !== "perplexity");
  const plot = shares.length === 0 ? null : await tasksPlot(shares, {
    id: "tasks",
    title: "Change of the share of right answers, by task",
    description: `${
      shares.map(({ task, difference }) => `${task} ${points(difference.value)}`).join(", ")
    }, in points of a hundred. The table below has all.`,
  });
  const sampled = tasks.some(({ questions, available }) => questions < available);
  const content = html`
    <p>${sentence(
      shares,
    )}A difference is of the same questions, and its interval covers the true one in 95 of 100 samples.${sampled
      ? " Only the first questions of the tasks were asked: the table says how many."
      : ""}</p>
    ${plot &&
      html`<figure><figcaption>Change by task, with its 95 % interval</figcaption>${plot}</figure>`}
    ${tasks.length === 0 ? null : folded(
      "The tasks as a table",
      table({
        caption: "Tasks",
        head: ["task", "measure", "questions", "dense", "pruned", "change", "95 % interval"],
        words: 2,
        rows: tasks.map((task) => [
          task.task,
          task.metric,
          task.questions === task.available
            ? count(task.questions)
            : `${count(task.questions)} of ${count(task.available)}`,
          figure(task, task.dense),
          figure(task, task.pruned),
          ...(task.metric === "perplexity"
            ? factors(task.difference)
            : [points(task.difference.value), interval(task.difference, points)]),
        ]),
      }),
    )}${table({
      caption: "Texts compared",
      head: ["text", "tokens", "dense", "pruned", "change", "95 % interval"],
      rows: texts.map(({ text, tokens, dense, pruned, ratio }) => [
        text,
        count(tokens),
        formatPerplexity(dense),
        formatPerplexity(pruned),
        ...(ratio ? factors(ratio) : ["–", "–"]),
      ]),
    })}
  `;
  return { id: "task-scores", title: "Which tasks suffered", content };
}

/** The task that lost most, if any lost significantly. */
function sentence(shares: readonly ScoredTask[]): Html | null {
  if (shares.length === 0) return null;
  const worst = shares.reduce((a, b) => b.difference.value < a.difference.value ? b : a);
  const certain = shares.filter(({ difference: { high } }) => high !== null && high < 0);
  if (worst.difference.value >= 0) {
    return html`
      No task lost right answers.
    `;
  }
  const lost = html`
    ${worst.task} suffered most: from ${figure(worst, worst.dense)} to ${figure(
      worst,
      worst.pruned,
    )} right answers of a hundred.
  `;
  const beyond = certain.length === 0
    ? "No loss is significant. "
    : `${certain.length} of ${shares.length} ${
      shares.length === 1 ? "task" : "tasks"
    } lost significantly. `;
  return html`${lost}${beyond}`;
}

function figure({ metric }: ScoredTask, value: number): string {
  return metric === "perplexity" ? formatPerplexity(value) : (100 * value).toFixed(1);
}

/** A difference of shares in points of a hundred, with its sign. */
function points(share: number): string {
  return `${share < 0 ? "−" : "+"}${Math.abs(100 * share).toFixed(1)}`;
}

function factors(ratio: Estimate): [string, string] {
  const factor = (n: number) => `×${n.toFixed(3)}`;
  return [factor(ratio.value), interval(ratio, factor)];
}

function interval({ low, high }: Estimate, format: (n: number) => string): string {
  return low === null || high === null ? "–" : `${format(low)} to ${format(high)}`;
}

function count(n: number): string {
  return n.toLocaleString("en-US");
}
