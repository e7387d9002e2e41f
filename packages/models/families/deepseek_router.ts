import { shown, UnsupportedModelError } from "@lopper/core";
import type { ConfigReader } from "../config_reader.ts";
import type { ExpertSettings } from "./family.ts";

/** What the sum of weights counts at least, which is not 0 where all sigmoids are. */
const MIN_SUM = 1e-20;

/** What keys mean that a config does not have; one without has to be there. */
export interface RouterDefaults {
  readonly count?: number;
  readonly topK?: number;
  readonly channels?: number;
  readonly shared?: number;
  readonly renormalised: boolean;
  readonly factor: number;
}

/**
 * What configs say of mixtures that are routed as DeepSeek-V3's (arXiv 2412.19437, section 2.1.2):
 * by sigmoids, corrected for the choice, within the best groups, beside experts for all tokens.
 */
export function deepseekExperts(config: ConfigReader, absent: RouterDefaults): ExpertSettings {
  const count = config.count("num_experts", absent.count);
  const channels = config.count("moe_intermediate_size", absent.channels);
  const [groups, topGroups] = [config.count("n_group", 1), config.count("topk_group", 1)];
  if (count % groups !== 0) refuse(config, "n_group", groups, `a divisor of ${count} experts`);
  if (topGroups > groups) refuse(config, "topk_group", topGroups, `at most ${groups}, n_group`);
  const factor = config.positive("routed_scaling_factor", absent.factor);
  return {
    ...{ count, channels },
    sharedExperts: config.count("n_shared_experts", absent.shared),
    ...(groups > 1 && { groups }),
    routing: {
      topK: config.count("num_experts_per_tok", absent.topK),
      softmaxOver: null,
      ...(config.boolean("norm_topk_prob", absent.renormalised) &&
        { renormalised: true, minSum: MIN_SUM }),
      ...(factor !== 1 && { factor }),
      ...(topGroups < groups && { topGroups }),
    },
  };
}

function refuse({ file }: ConfigReader, key: string, found: number, needed: string): never {
  throw new UnsupportedModelError(`${file}: ${key} is ${shown(found)}; Lopper needs ${needed}`);
}
