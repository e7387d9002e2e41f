import {
  fallsBeyondChance,
  groupSize,
  type LayerSpec,
  mean,
  type ModelSpec,
  parametersOf,
  type Resource,
} from "@lopper/core";
import type { UnitKind } from "./activation_order.ts";

/**
 * The order with the lowest mean NLL among those that are better than the first beyond chance: by two standard errors of
 * the paired differences, sequence by sequence. Without such a one, or with a single sequence, the first.
 */
export function chooseOrder<Order extends string>(
  tried: readonly { readonly order: Order; readonly nll: readonly number[] }[],
): Order {
  const [first, ...others] = tried;
  let best: { order: Order; nll: number } = { order: first.order, nll: mean(first.nll) };
  for (const { order, nll } of others) {
    const value = mean(nll);
    if (!Number.isFinite(value) || nll.length < 2) continue;
    if (Number.isFinite(best.nll) && value >= best.nll) continue;
    if (fallsBeyondChance(first.nll, nll)) best = { order, nll: value };
  }
  return best.order;
}

/** At most this share of the units goes in a trial cut: beyond it, every order ruins the model. */
const MAX_CUT = 0.5;

/**
 * The layers after a cut that takes so many per cent of the dense model's parameters, or of another resource, from one kind
 * of units, the same share everywhere: at least one unit in all, and in no layer the last one.
 */
export function trialCut(
  spec: ModelSpec,
  layers: readonly LayerSpec[],
  units: UnitKind,
  percent: number,
  resource: Resource = parametersOf(spec),
): readonly LayerSpec[] {
  const counts = layers.map(({ attention, mlp }) =>
    (units === "channels" ? mlp?.intermediateSize : attention?.kvHeads) ?? 0
  );
  const kind = units === "channels" ? "mlp" : "attention";
  const present = layers.reduce((sum, layer) => sum + resource.block(layer, kind), 0);
  const total = resource.amount(spec.layers);
  const all = counts.reduce((a, b) => a + b, 0);
  const share = Math.max(1 / all, Math.min(MAX_CUT, percent / 100 * total / present));
  let passed = 0, gone = 0;
  return layers.map((layer, i) => {
    if (counts[i] === 0) return layer;
    passed += counts[i];
    const less = Math.min(counts[i] - 1, Math.round(share * passed) - gone);
    gone += less;
    const left = counts[i] - less;
    if (units === "channels") return { ...layer, mlp: { intermediateSize: left } };
    const queryHeads = left * groupSize(layer.attention!);
    return { ...layer, attention: { kvHeads: left, queryHeads } };
  });
}
