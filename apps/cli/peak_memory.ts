import process from "node:process";

/** The most resident memory that this process has had, in bytes. */
export function peakResidentBytes(): number {
  try {
    // Of the program alone: what getrusage counts begins with the process that started it.
    const [, kib] = /^VmHWM:\s*(\d+) kB/m.exec(Deno.readTextFileSync("/proc/self/status")) ?? [];
    if (kib !== undefined) return Number(kib) * 1024;
  } catch {
    // Not Linux.
  }
  return process.resourceUsage().maxRSS * 1024;
}
