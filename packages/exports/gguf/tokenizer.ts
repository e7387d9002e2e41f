import { ExportError } from "@lopper/core";
import { GgufFolder, type Model } from "@lopper/models";
import { tokenizerEntries, type TokenizerMetadata } from "@lopper/tokenizers";

/**
 * The tokenizer of a model as a GGUF file has it. A GGUF source's own is taken as it is.
 * @throws {ExportError} when llama.cpp has no tokenizer that gives the same ids.
 * @throws {CheckpointFormatError} when the model has no tokenizer, or its files are malformed.
 */
export async function tokenizerMetadata(
  { folder, architecture, name }: Model,
): Promise<TokenizerMetadata> {
  if (folder instanceof GgufFolder) {
    const entries = await folder.tokenizerEntries();
    if (entries.length > 0) return { entries, notes: [] };
  }
  const source = { folder, rows: architecture.vocabSize, endTokens: architecture.eosTokenIds };
  return await tokenizerEntries(source, (what) => {
    throw new ExportError(
      `${name}: ${what}, which llama.cpp has no equal for; export it with --to safetensors or --to onnx`,
    );
  });
}
