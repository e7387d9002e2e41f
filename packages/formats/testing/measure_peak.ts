/**
 * How much the memory of this process grows, at its highest, while `use` runs, and what that said
 * or threw. Linux keeps the high-water mark of a process (proc(5), VmHWM) and forgets it on demand
 * (clear_refs).
 */
export async function measurePeak(
  use: () => Promise<string>,
): Promise<{ grown: number; outcome: string }> {
  (globalThis as { gc?: () => void }).gc?.();
  Deno.writeTextFileSync("/proc/self/clear_refs", "5");
  const before = highWaterMark();
  const outcome = await use().catch((error) => `${error.name}: ${error.message.slice(0, 100)}`);
  return { grown: highWaterMark() - before, outcome };
}

function highWaterMark(): number {
  const status = Deno.readTextFileSync("/proc/self/status");
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)![1]) * 1024;
}
