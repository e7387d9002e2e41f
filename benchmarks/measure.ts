/** Runs something once to warm up and then `repeats` times; mean seconds of those. */
async function timed<T>(
  run: () => Promise<T>,
  repeats: number,
): Promise<{ readonly value: T; readonly seconds: number }> {
  const value = await run();
  const started = performance.now();
  for (let i = 0; i < repeats; i++) await run();
  return { value, seconds: (performance.now() - started) / 1000 / repeats };
}

/** Times passes over a text, and prints what the forward benchmark reads: one JSON object. */
export async function printThroughput(
  /** Counts its work. */
  decoder: { readonly blockTokens: number },
  /** One pass over so many tokens, to their mean NLL. */
  { pass, tokens }: { readonly pass: () => Promise<number>; readonly tokens: number },
  repeats: number,
  engine: string,
): Promise<void> {
  const { value: nll, seconds } = await timed(pass, repeats);
  console.log(JSON.stringify({
    tokensPerSecond: tokens / seconds,
    blockTokens: decoder.blockTokens / (repeats + 1),
    nll,
    peakResidentBytes: peakResidentBytes(),
    engine,
  }));
}

/**
 * The most resident memory that this process has had; on systems other than Linux what it has now.
 */
export function peakResidentBytes(): number {
  try {
    const [, kib] = /^VmHWM:\s*(\d+) kB/m.exec(Deno.readTextFileSync("/proc/self/status")) ?? [];
    return Number(kib) * 1024;
  } catch {
    return Deno.memoryUsage().rss;
  }
}
