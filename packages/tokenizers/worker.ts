/**
 * A tokenizer in a thread of its own: while a pattern looks for its end, the program still hears
 * its user, and can give up.
 */
import { threadScope } from "@lopper/threads";
import { TokenizerEngine } from "./engine.ts";
import type { Answer, Request } from "./protocol.ts";

const scope = await threadScope();

let engine: TokenizerEngine | null = null;
/**
 * Milliseconds a character of tokenizer.json that its reading may take beside the limit: the
 * largest, of 33 MB, takes seconds on a machine that does much else.
 */
const OPEN_MS = 0.002;

function post(answer: Answer, transfer: readonly Transferable[] = []) {
  scope.postMessage(answer, { transfer });
}

function answer(request: Request): Int32Array<ArrayBuffer> | string | null {
  if ("open" in request) {
    post({ more: request.open.text.length * OPEN_MS });
    engine = new TokenizerEngine(request.open, (more) => post({ more }));
    return null;
  }
  if ("decode" in request) return engine!.decode(request.decode);
  return Int32Array.from(engine!.encode(request.encode, request.addSpecialTokens));
}

post({ more: 0 });
scope.onmessage = ({ data }: MessageEvent<readonly Request[]>) => {
  for (const request of data) {
    const { id } = request;
    try {
      const done = answer(request);
      post({ id, done }, done instanceof Int32Array ? [done.buffer] : []);
    } catch (error) {
      post({ id, problem: error instanceof Error ? error.message : String(error) });
    }
  }
};
