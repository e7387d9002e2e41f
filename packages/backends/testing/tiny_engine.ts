import type { Backend } from "../backend.ts";
import { withReusedGraphs } from "./reused_graphs.ts";

const AS_IT_IS = { graphOptimizationLevel: "disabled" } as const;

/**
 * An engine on one thread for many tiny models, whose graphs take longer to compile than to run: it
 * compiles each once, and as it is, since to optimise it takes twice as long as all else. For tests
 * of what graphs compute; how users have them, `openBackend` compiles them.
 */
export async function openTinyEngine(name: "cpu" | "wasm"): Promise<Backend> {
  return withReusedGraphs(
    name === "cpu"
      ? (await import("../node_backend.ts")).nodeEngine(1, AS_IT_IS)
      : (await import("../web_engine.ts")).openWebEngine(AS_IT_IS),
  );
}
