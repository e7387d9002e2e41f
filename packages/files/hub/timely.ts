/** A stream that broke off, or from which nothing came any more. */
export class CutError extends Error {}

/**
 * The parts of a stream as they come.
 * @param silence milliseconds without a part after which it is given up.
 * @throws {CutError} when it does not end as it should.
 */
export async function* timely(
  stream: ReadableStream<Uint8Array>,
  silence: number,
): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await within(reader.read(), silence);
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing came for ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } catch (error) {
    throw new CutError((error as Error).message, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}
