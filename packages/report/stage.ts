/** The samples that a stage scores on. */
export function samplesOf(stage: string): "block" | "width" {
  return stage === "mlp_channels" || stage === "attention_heads" ? "width" : "block";
}
