import { Products } from "@lopper/algebra";
import { UnsupportedModelError } from "@lopper/core";
import type { RecoveryTest } from "@lopper/search";
import { type RecoveryEvent, refitBlocks } from "./course.ts";
import { drop, exchange, type Projections, type RefitModel } from "./projections.ts";
import { refitLocally } from "./refit_locally.ts";
import type { RefitRun, RefitTexts } from "./refit_task.ts";
import { whyNotRefitted } from "./solvable.ts";
import { RefitTests } from "./refit_tests.ts";

export interface RecoveryResult {
  /** Numbers of the blocks whose output projection changed. */
  readonly refitted: readonly number[];
  readonly tried: number;
  /** Projections whose refits helped before the tests of all together. */
  readonly helped: number;
  /** Of the refits of each way, as far as some helped. */
  readonly tests: readonly RecoveryTest[];
}

/**
 * Refits output projections of what stays, so that the pruned model comes nearer to the dense one,
 * in two ways, of which the second goes on from where the first ends:
 *
 * - locally: all narrowed blocks at once, each to what the dense block writes on dense inputs
 *   (`localFits`);
 * - along the stream: one block after the other, to the dense hidden states behind it, W = W₀ + (Y
 *   − W₀X)Xᵀ(XXᵀ + λI)⁻¹, ridge regression that shrinks toward the weights that are there. X is
 *   what enters the projection in the model that is refitted so far; Y are the dense hidden states
 *   less the pruned model's at that place, so that a fit makes up for what is lost before it, too.
 *   Where removed blocks follow, it is the dense hidden states behind them: ReplaceMe (arXiv
 *   2505.02819) folds removed blocks into the projection before them so.
 *
 * λ and whether a refit stays are chosen on the text for that. In the end the refits of each way
 * stay together if the mean NLL falls on text that chose nothing, or else none of them.
 * @throws {UnsupportedModelError} when the projections of the model are none that equations give
 *   along the stream (`whyNotRefitted`).
 */
export async function* refitAll(
  model: RefitModel,
  texts: RefitTexts,
  run: RefitRun,
): AsyncGenerator<RecoveryEvent, RecoveryResult> {
  const reason = whyNotRefitted(model.decoder.architecture);
  if (run.way !== "local" && reason !== null) {
    throw new UnsupportedModelError(`--recover ${run.way} ${reason}`);
  }
  const products = new Products(model.decoder.backend);
  try {
    const tests = new RefitTests(model, texts, run);
    await tests.begin();
    const fits = run.way === "auto" ? NONE : yield* refitLocally(model, products, texts, run);
    const local = fits.size > 0 && (yield* tests.local(fits)) ? fits : NONE;
    if (run.way === "local") {
      drop(await exchange(model, local));
      return { refitted: [...local.keys()], tried: fits.size, helped: fits.size, tests: tests.all };
    }
    const { refitted, tried } = yield* refitBlocks(model, texts, run, { products, from: local });
    const stays = refitted.length > 0 && (yield* tests.stream());
    if (!stays) {
      const began = new Map([...local].filter(([block]) => refitted.includes(block)));
      drop(await exchange(model, began));
    }
    const helped = new Set([...fits.keys(), ...refitted]);
    return {
      refitted: [...new Set([...local.keys(), ...(stays ? refitted : [])])].sort((a, b) => a - b),
      tried: Math.max(tried, helped.size),
      helped: helped.size,
      tests: tests.all,
    };
  } finally {
    await products.dispose();
  }
}

const NONE: Projections = new Map();
