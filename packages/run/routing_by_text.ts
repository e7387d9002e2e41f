import { keptOf, type KeptUnits, type PrunePlan, type StopSignal } from "@lopper/core";
import { routedTokens, tokenCount } from "@lopper/importance";
import type { Decoder } from "@lopper/runtime";
import type { RunEvent } from "./events.ts";
import { phase } from "./phase.ts";
import type { RunFlags } from "./schemas/flags.ts";
import type { RoutingByText } from "./schemas/record.ts";
import type { NamedText } from "./texts.ts";

type Routed = Awaited<ReturnType<typeof routedTokens>>;

/**
 * Which calibration text used the experts that went: one pass of the dense model over each text by
 * itself, since sequences that candidates are scored on mix them. Null where texts cannot be
 * compared or no expert went.
 * @param decoder of the dense model, in whatever ranking its units lie.
 */
export async function* routingByText(
  decoder: Decoder,
  texts: readonly NamedText[],
  plan: PrunePlan,
  { batchTokens }: Pick<RunFlags, "batchTokens">,
  signal: StopSignal | undefined,
): AsyncGenerator<RunEvent, RoutingByText | null> {
  const kept = keptOf(decoder.architecture, plan);
  const sets = texts.flatMap(({ set }) => set ?? []);
  const losesExperts = decoder.blocks.some(({ routing, dimensions: [experts] }, number) =>
    routing && (kept[number]?.[experts.name].length ?? 0) < experts.units
  );
  if (sets.length < 2 || !losesExperts) return null;
  const total = sets.reduce((sum, set) => sum + tokenCount(set), 0);
  const routed = yield* phase("looking at activations", signal, async ({ progress }) => {
    const found: Routed[] = [];
    let done = 0;
    for (const { set } of texts) {
      const onProgress = (tokens: number) => progress(done + tokens, total);
      found.push(set ? await routedTokens(decoder, set, { batchTokens, onProgress }) : new Map());
      done += set ? tokenCount(set) : 0;
    }
    return found;
  });
  return {
    texts: texts.map(({ name, set }) => ({ name, tokens: set ? tokenCount(set) : 0 })),
    layers: decoder.blocks.flatMap(({ routing, layer, dimensions: [experts] }, number) => {
      if (!routing) return [];
      const tokens = routed.map((of) => of.get(number));
      return [{ layer, ...compared(tokens, experts, kept[number]) }];
    }),
  };
}

/** @param tokens of each text by expert; undefined of a text that was not looked at. */
function compared(
  tokens: readonly (Float64Array | undefined)[],
  { name, units }: { readonly name: string; readonly units: number },
  kept: KeptUnits | null,
): Pick<RoutingByText["layers"][number], "removed" | "most"> {
  const stays = new Set(kept?.[name]);
  const all = tokens.map((of) => of?.reduce((a, b) => a + b, 0) ?? 0);
  return {
    removed: tokens.map((of, text) => {
      const gone = of?.filter((_, expert) => !stays.has(expert));
      return gone ? gone.reduce((a, b) => a + b, 0) / all[text] : null;
    }),
    most: Array.from({ length: units }, (_, expert) => {
      const shares = tokens.map((of, text) => of ? of[expert] / all[text] : 0);
      const largest = Math.max(...shares);
      return largest > 0 ? shares.indexOf(largest) : null;
    }),
  };
}
