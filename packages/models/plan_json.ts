import { describeIssue, parseStrictJson, PlanError, type PrunePlan, sha256 } from "@lopper/core";
import { z } from "zod";
import { type PublishedConfig, publishedSchema } from "./published_config.ts";

const index = z.int().nonnegative().max(2 ** 31 - 1);
const planSchema = z.strictObject({
  kind: z.literal("lopper-prune-plan"),
  schema: z.literal(1),
  modelDigest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  removalOrder: z.array(z.strictObject({ layer: index, kind: z.string() })),
  // By kind of block, and of what is kept by dimension: which there are is the model's to say.
  layers: z.array(
    z.record(
      z.string(),
      z.union([z.literal("removed"), z.record(z.string(), z.array(index))]),
    ),
  ),
});

/** The JSON text of a plan, one line a layer; the same plan always gives the same bytes. */
export function planToJson(plan: PrunePlan): string {
  const layers = plan.layers.map((layer) => "    " + JSON.stringify(layer)).join(",\n");
  return `{
  "kind": "lopper-prune-plan",
  "schema": 1,
  "modelDigest": ${JSON.stringify(plan.modelDigest)},
  "removalOrder": ${JSON.stringify(plan.removalOrder)},
  "layers": [
${layers}
  ]
}
`;
}

/** Of the text of a plan: the same plan always has the same. */
export function digestOfPlan(plan: PrunePlan): Promise<string> {
  return sha256(new TextEncoder().encode(planToJson(plan)));
}

/**
 * A plan file is one of Lopper's own, or a `pruning_config.json` of the published implementation.
 */
export type PlanFile =
  | { readonly kind: "plan"; readonly plan: PrunePlan }
  | { readonly kind: "published"; readonly config: PublishedConfig };

/**
 * Reads a plan of either format.
 * @throws {PlanError} when the text is neither; the message names the file and what is wrong in it.
 */
export function parsePlanFile(text: string, file: string): PlanFile {
  let json: unknown;
  try {
    json = parseStrictJson(text);
  } catch (error) {
    throw new PlanError(`${file}: ${(error as Error).message}`, { cause: error });
  }
  if (typeof json === "object" && json !== null && "pruned_attn_idx" in json) {
    return { kind: "published", config: parse(publishedSchema, json, file) };
  }
  const { kind: _kind, schema: _schema, ...plan } = parse(planSchema, json, file);
  return { kind: "plan", plan };
}

function parse<T>(schema: z.ZodType<T>, json: unknown, file: string): T {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  throw new PlanError(`${file}: ${describeIssue(result.error.issues)}`);
}
