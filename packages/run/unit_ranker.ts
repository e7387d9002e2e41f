import { type LayerSpec, shapeOfLayers } from "@lopper/core";
import {
  ACTIVATION_METRICS,
  type ActivationMetric,
  activationOrder,
  type CalibrationSet,
  chooseOrder,
  compensatedOrder,
  type InnerEnergy,
  innerEnergy,
  orderLike,
  type Scorer,
  tokenCount,
  trialCut,
} from "@lopper/importance";
import type { Decoder, UnitOrder } from "@lopper/runtime";
import {
  type Arrangement,
  type Arranger,
  type ArrangeRequest,
  type OrderName,
  TRIED_ORDERS,
} from "@lopper/search";

export interface UnitRankerOptions {
  /** Runs the model, and holds the weights that are laid out. */
  readonly decoder: Decoder;
  /** One order for all, or `auto`: each kind of units gets the order that a trial cut hurts least. */
  readonly order: Exclude<OrderName, "l1"> | "auto";
  /** The published order. */
  readonly published: UnitOrder;
  /** Text from whose activations the orders come. */
  readonly text: CalibrationSet;
  /** Scores text that decides nothing else; `auto` compares on it. Null: there is none, and `auto` means the published order. */
  readonly aside: Scorer | null;
  readonly batchTokens: number;
  /** Hears of the work done and all there is, in tokens or in blocks; may throw to stop. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Takes the weights over after they were laid out anew. */
  readonly onArranged?: () => Promise<void>;
}

/**
 * Orders by activations, which change when blocks go: every stage that narrows blocks begins with one pass over the text.
 * `auto` cuts every layer alike, by what the stage is to remove, in each order, and takes another than the published one
 * where it is better on the sequences kept aside beyond chance.
 */
export class UnitRanker implements Arranger {
  readonly #options: UnitRankerOptions;
  /** What the last pass over the text saw, until units move. */
  #seen: { readonly layers: readonly LayerSpec[]; readonly energy: InnerEnergy } | null = null;

  constructor(options: UnitRankerOptions) {
    this.#options = options;
  }

  async arrange({ units, layers, percent, resource }: ArrangeRequest) {
    const { decoder, order, text, aside, published, batchTokens, onProgress } = this.#options;
    const layersOf = (laid: UnitOrder) => laid.layers.map((layer) => layer[units]);
    const l1 = () => orderLike(decoder, layers, units, published);
    if (order === "auto" && aside === null) {
      return { chosen: "l1" as const, tried: [], layers: layersOf(l1()) };
    }
    if (order === "compensated") {
      const found = await compensatedOrder(decoder, layers, units, text, {
        batchTokens,
        onProgress,
      });
      return { chosen: order, tried: [], layers: layersOf(found) };
    }
    const seen = this.#seen?.layers === layers ? this.#seen.energy : null;
    const textTokens = seen ? 0 : tokenCount(text);
    const trials = order === "auto" && aside ? TRIED_ORDERS.length * aside.tokens : 0;
    const report = (done: number) => onProgress?.(done, textTokens + trials);
    const energy = seen ??
      await innerEnergy(decoder, layers, text, { batchTokens, onProgress: report });
    this.#seen = { layers, energy };
    const by = (metric: ActivationMetric) =>
      activationOrder(decoder, layers, units, metric, energy);
    if (order !== "auto") return { chosen: order, tried: [], layers: layersOf(by(order)) };

    const orders = new Map<OrderName, UnitOrder>([["l1", l1()]]);
    for (const metric of ACTIVATION_METRICS) orders.set(metric, by(metric));
    const cut = trialCut(decoder.spec, layers, units, percent, resource);
    const before = decoder.weights.order;
    const tried: { order: OrderName; nll: readonly number[] }[] = [];
    try {
      for (const [name, candidate] of orders) {
        decoder.weights.rearrange(candidate);
        const done = textTokens + tried.length * aside!.tokens;
        const { sequenceNll } = await aside!.evaluate(
          shapeOfLayers(decoder.spec, cut),
          (n) => report(done + n),
        );
        tried.push({ order: name, nll: sequenceNll });
      }
    } finally {
      decoder.weights.rearrange(before);
    }
    const chosen = chooseOrder(tried);
    return { chosen, tried, layers: layersOf(orders.get(chosen)!) };
  }

  async apply({ units, layers }: Pick<Arrangement, "units" | "layers">) {
    const { weights } = this.#options.decoder;
    this.#seen = null;
    weights.rearrange({
      layers: weights.order.layers.map((order, i) => ({ ...order, [units]: layers[i] })),
    });
    await this.#options.onArranged?.();
  }
}
