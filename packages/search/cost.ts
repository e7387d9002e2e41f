/** Work that a line of the journal stands for. */
export interface Cost {
  readonly blockTokens: number;
  readonly seconds: number;
}

export const NO_COST: Cost = { blockTokens: 0, seconds: 0 };

/** What was done between two readings of the work of the whole process. */
export function costBetween(before: Cost, after: Cost): Cost {
  return {
    blockTokens: after.blockTokens - before.blockTokens,
    seconds: after.seconds - before.seconds,
  };
}

export function sumOfCosts(a: Cost, b: Cost): Cost {
  return { blockTokens: a.blockTokens + b.blockTokens, seconds: a.seconds + b.seconds };
}
