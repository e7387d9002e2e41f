export { overlayReport } from "./overlay_report.ts";
export type { ReportRun } from "./report_run.ts";
export { runReport } from "./run_report.ts";
