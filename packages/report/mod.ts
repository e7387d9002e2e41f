export { overlayReport } from "./overlay_report.ts";
export type { ReportRun } from "./report_run.ts";
export { runReport } from "./run_report.ts";
export { removedPicture } from "./sections/removed.ts";
