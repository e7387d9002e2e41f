import { type Block, CORRECTION, type DeclaredWeight, haveWeight, type Norm } from "@lopper/core";
import { normedInput, withAdded } from "./block_nodes.ts";
import { notAttended } from "./block_scope.ts";
import { mlpNodes } from "./gated_mlp.ts";
import { GraphBuilder } from "./graph_builder.ts";
import { sharedNodes } from "./kinds/experts.ts";
import { captureOutput, linear } from "./layers.ts";
import { fedWeights } from "./weights/fed.ts";

/**
 * A mixture of experts as three graphs that hold no weights, between which rows are sent to experts
 * and summed: so only experts run that some token goes to, on these tokens.
 */
export interface MixtureOptions {
  readonly hiddenSize: number;
  readonly norm: Norm;
  /** It reads other hidden states than it adds to: those of `base`. */
  readonly parallel?: boolean;
  /** Whether the energy of inner channels is captured. */
  readonly energy?: boolean;
}

/**
 * Weights that the router's graph is fed: those that all tokens use, but for norms behind it, and
 * for what is added to scores when experts are chosen, which is done between the graphs.
 */
export function routerWeights(block: Block): readonly DeclaredWeight[] {
  const behind = residualWeights(block);
  return block.weights.filter((weight) =>
    !weight.stacked && !behind.includes(weight) && weight.name !== CORRECTION
  );
}

/** Weights that the graph is fed which adds what the experts computed. */
export function residualWeights({ weights, placement }: Block): readonly DeclaredWeight[] {
  const behind = placement === "post" ? "norm" : "post_norm";
  return weights.filter(({ name }) => name === behind || name === `${behind}_bias`);
}

/**
 * What comes before the experts.
 *
 * Feeds, float32: `hidden [B, T, H]`, and the weights of the block that `routerWeights` says.
 * Fetches: `normed [N, H]`, which experts read, their `scores [N, experts]`, and where a shared
 * expert runs on all tokens, `shared [N, H]`, what it adds, and with `energy` also `energy [its
 * channels]`, the sums of their squares over all rows.
 */
export function routerGraph(
  block: Block,
  { hiddenSize, norm, energy = false }: MixtureOptions,
): Uint8Array {
  const g = new GraphBuilder("router");
  const hidden = g.input("hidden", "float32", ["B", "T", hiddenSize]);
  const own = { ...block, weights: routerWeights(block) };
  const weights = fedWeights(g, own);
  const rows = g.node("Reshape", [hidden, g.int64([-1, hiddenSize])]);
  const scope = { g, block: own, weights, norm, attend: notAttended(block) };
  const normed = normedInput(scope, rows, hiddenSize);
  g.output("normed", normed, "float32", ["N", hiddenSize]);
  g.output("scores", weights.project(normed, "router"), "float32", ["N", "E"]);
  if (haveWeight([block], "shared_up")) {
    const { out, inner } = sharedNodes(scope, normed);
    g.output("shared", out, "float32", ["N", hiddenSize]);
    if (energy) captureOutput(g, "energy", inner, "S");
  }
  // Energies are sums over all tokens.
  if (!energy) g.independent("B", "T");
  return g.encode();
}

/**
 * One expert. Feeds, float32: `x [N, H]`, and its stacked weights by their names, as they are in
 * the checkpoint without the axis of experts, of any number of channels. Fetches: `out [N, H]`,
 * with `energy` also `energy [channels]`, the sums of the squares over all rows.
 */
export function expertGraph(
  block: Block,
  { hiddenSize, energy = false }: MixtureOptions,
): Uint8Array {
  const g = new GraphBuilder("expert");
  const x = g.input("x", "float32", ["N", hiddenSize]);
  const stacked = block.weights.filter((weight) => weight.stacked);
  for (const { name, axes } of stacked) {
    g.input(name, "float32", axes.slice(1).map((axis) => typeof axis === "number" ? axis : "C"));
  }
  const names = new Set(stacked.map(({ name }) => name));
  const project = (x: string, name: string) =>
    linear(g, x, name, names.has(`${name}_bias`) ? `${name}_bias` : undefined);
  const { out, inner } = mlpNodes(g, x, block, project, true);
  g.output("out", out, "float32", ["N", hiddenSize]);
  if (energy) captureOutput(g, "energy", inner, "C");
  else g.independent("N");
  return g.encode();
}

/**
 * What comes behind the experts. Feeds, float32: `hidden [B, T, H]`, `added [B, T, H]`, what the
 * experts computed, and the weights that `residualWeights` says. Fetch: `out [N, H]`.
 */
export function residualGraph(block: Block, { hiddenSize, norm }: MixtureOptions): Uint8Array {
  const g = new GraphBuilder("residual");
  const rows = (name: string) => {
    const states = g.input(name, "float32", ["B", "T", hiddenSize]);
    return g.node("Reshape", [states, g.int64([-1, hiddenSize])]);
  };
  const [sum, added] = [rows("hidden"), rows("added")];
  const own = { ...block, weights: residualWeights(block) };
  const scope = { g, block: own, weights: fedWeights(g, own), norm, attend: notAttended(block) };
  g.output("out", withAdded(scope, sum, added, hiddenSize), "float32", ["N", hiddenSize]);
  g.independent("B", "T");
  return g.encode();
}
