import type { Backend, Executable } from "../backend.ts";

/**
 * A backend that compiles each graph once, however many decoders have it, and keeps it until it is
 * disposed itself: where many tiny models are run, to compile takes longer than to run.
 */
export function withReusedGraphs(backend: Backend): Backend {
  const compiled = new Map<string, Promise<Executable>>();
  return {
    description: backend.description,
    async compile(onnx, weights = {}) {
      if (Object.keys(weights).length > 0) return await backend.compile(onnx, weights);
      const graph = new TextDecoder("latin1").decode(onnx);
      const found = compiled.get(graph) ?? backend.compile(onnx);
      compiled.set(graph, found);
      const executable = await found;
      return { run: (feeds) => executable.run(feeds), dispose: () => Promise.resolve() };
    },
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
}
