/**
 * Keys whose numbers transformers takes as `float` alone (5.24, where config classes check types):
 * it refuses a 30 where a 30.0 is meant, and JSON in JavaScript knows no difference.
 */
const FRACTIONS = [
  "attn_logit_softcapping",
  "clip_qkv",
  "final_logit_softcapping",
  "init_std",
  "initializer_factor",
  "initializer_range",
  "layer_norm_eps",
  "layer_scale_init_value",
  "logit_scale",
  "norm_eps",
  "rms_norm_eps",
  "router_aux_loss_coef",
  "router_jitter_noise",
  "swiglu_alpha",
  "swiglu_limit",
];
// A line of its own each: a text in JSON has no line breaks.
const WHOLE = new RegExp(`^( *"(?:${FRACTIONS.join("|")})": -?\\d+)(?=,?$)`, "gm");
/** The first number of a pair of them. */
const WHOLE_LIMIT = /^( *"time_step_limit": \[\n *-?\d+)(?=,?$)/gm;

/** The text of a config.json. */
export function configText(config: Readonly<Record<string, unknown>>): string {
  const text = JSON.stringify(config, null, 2);
  return text.replaceAll(WHOLE, "$1.0").replaceAll(WHOLE_LIMIT, "$1.0") + "\n";
}
