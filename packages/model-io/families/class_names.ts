/** How the families are written in the names of transformers' classes. */
export const CLASS_NAMES: Readonly<Record<string, string>> = {
  llama: "Llama",
  mistral: "Mistral",
  qwen2: "Qwen2",
  qwen3: "Qwen3",
};

/** The class by which transformers generates with a family's models. */
export function classOf(modelType: string): string {
  return `${CLASS_NAMES[modelType]}ForCausalLM`;
}
