import process from "node:process";

/**
 * The most resident memory that this process has had, in bytes (getrusage). On Linux that begins
 * with what the process that started it had then; reading more exact figures from /proc would need
 * all permissions.
 */
export function peakResidentBytes(): number {
  return process.resourceUsage().maxRSS * 1024;
}
