/** Runs something once to warm up and then `repeats` times; mean seconds of those. */
export async function timed<T>(
  run: () => Promise<T>,
  repeats: number,
): Promise<{ readonly value: T; readonly seconds: number }> {
  const value = await run();
  const started = performance.now();
  for (let i = 0; i < repeats; i++) await run();
  return { value, seconds: (performance.now() - started) / 1000 / repeats };
}

/** The most resident memory that this process has had; on systems other than Linux what it has now. */
export function peakResidentBytes(): number {
  try {
    const [, kib] = /^VmHWM:\s*(\d+) kB/m.exec(Deno.readTextFileSync("/proc/self/status")) ?? [];
    return Number(kib) * 1024;
  } catch {
    return Deno.memoryUsage().rss;
  }
}
