/** An answer whose connection breaks after some bytes: it says that more are to come. */
export async function cutAfter(response: Response, count: number): Promise<Response> {
  const bytes = await response.bytes();
  const headers = new Headers(response.headers);
  headers.set("content-length", String(bytes.byteLength));
  const cut = new ReadableStream({
    start(controller) {
      if (count > 0) controller.enqueue(bytes.subarray(0, count));
      controller.close();
    },
  });
  return new Response(cut, { status: response.status, headers });
}
