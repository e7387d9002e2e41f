import type { CardFacts, CardReaders } from "../facts.ts";
import { codeBlock, plainText } from "../markdown.ts";

/** How it is opened where it lies, and what it can be turned into. */
export function useSection({ readers }: CardFacts): string {
  const opens = readers.images ? "AutoModelForImageTextToText" : "AutoModelForCausalLM";
  return `## How to use it

${opened(readers)}

${
    codeBlock("python", [
      `from transformers import ${opens}, AutoTokenizer`,
      "",
      'name = "."  # this folder, or its name on the hub',
      "tokenizer = AutoTokenizer.from_pretrained(name)",
      `model = ${opens}.from_pretrained(name${
        readers.customCode ? ", trust_remote_code=True" : ""
      })`,
      'ids = tokenizer("Once upon a time", return_tensors="pt")',
      "print(tokenizer.decode(model.generate(**ids, max_new_tokens=40)[0]))",
    ])
  }

Lopper opens it, too, and writes it for other programs:

${codeBlock("sh", commands(readers))}`;
}

function opened({ customCode, images, family }: CardReaders): string {
  if (images) {
    return `All layers of its text model are alike, and its parts for images are as they were: a plain model of the ` +
      `type ${plainText(family)} for whatever reads that, transformers among them:`;
  }
  if (!customCode) {
    return `All layers are alike, so it is a plain model of the type ${
      plainText(family)
    } for whatever reads that, transformers among them:`;
  }
  return "Its layers differ, which transformers builds with the code that lies beside the weights (`trust_remote_code`); " +
    "`per_layer_config` in config.json says how:";
}

function commands({ customCode, gguf, deci }: CardReaders): readonly string[] {
  const all: readonly (readonly [string, string] | null)[] = [
    ['lopper generate . "Once upon a time"', "continue a text"],
    gguf ? ["lopper export . --to gguf --quantize q8_0 --out ../gguf", "llama.cpp"] : null,
    ["lopper export . --to onnx --out ../onnx", "onnxruntime, transformers.js"],
    customCode && deci
      ? ["lopper export . --to safetensors --layout deci --out ../deci", "vLLM, mlx-lm"]
      : null,
  ];
  const lines = all.filter((line) => line !== null);
  const width = Math.max(...lines.map(([command]) => command.length));
  return lines.map(([command, what]) => `${command.padEnd(width)}  # ${what}`);
}
