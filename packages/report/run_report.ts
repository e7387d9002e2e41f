import { renderPage } from "./page.ts";
import type { ReportRun } from "./report_run.ts";
import { costSection } from "./sections/cost.ts";
import { expertTextsSection } from "./sections/expert_texts.ts";
import { frontierSection } from "./sections/frontier.ts";
import { layerLossIncreaseSection } from "./sections/layer_loss_increase.ts";
import { removedSection } from "./sections/removed.ts";
import { recoverySection } from "./sections/recovery.ts";
import { reproductionSection } from "./sections/reproduction.ts";
import { samplesSection } from "./sections/samples.ts";
import { summary } from "./sections/summary.ts";
import { taskScoresSection } from "./sections/task_scores.ts";
import { textLossIncreaseSection } from "./sections/text_loss_increase.ts";

/**
 * The page of one run: a whole HTML document that loads nothing and needs no script. The same run
 * always gives the same bytes.
 */
export async function runReport(run: ReportRun): Promise<string> {
  const sections = [
    removedSection(run),
    expertTextsSection(run),
    await frontierSection(run),
    await layerLossIncreaseSection(run),
    recoverySection(run),
    await taskScoresSection(run),
    await textLossIncreaseSection(run),
    samplesSection(run),
    costSection(run),
    reproductionSection(run),
  ];
  return renderPage({
    title: `${run.model}, pruned by ${run.record.ratio.toFixed(1)} %`,
    kind: "Lopper report",
    summary: summary(run),
    sections: sections.filter((section) => section !== null),
  });
}
