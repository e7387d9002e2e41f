import { type Backend, type Executable, openBackend } from "@lopper/backends";
import { FileFolder } from "@lopper/files";
import { type Model, openModel } from "@lopper/models";
import { attentionOpFor, Decoder, LaidOutWeights, sequenceLogits } from "@lopper/runtime";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { maxAbsDifference } from "@lopper/backends/testing";

const FIXTURES = fileURLToPath(new URL("fixtures/families", import.meta.url));

interface Case {
  readonly input_ids: readonly (readonly number[])[];
  /** Little-endian float32, `[B, T, V]`, in base64. */
  readonly logits: string;
}
interface Expected {
  readonly tolerance: number;
  readonly cases: readonly Case[];
  readonly beyond_window?: Case;
}

function float32FromBase64(text: string): Float32Array {
  return new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
}

/** A backend that also notes which operators the graphs it compiles hold. */
function recording(backend: Backend, operators: Set<string>): Backend {
  return {
    description: backend.description,
    compile(onnx: Uint8Array): Promise<Executable> {
      const text = new TextDecoder("latin1").decode(onnx);
      for (const op of ["GroupQueryAttention", "RotaryEmbedding"]) {
        if (text.includes(op)) operators.add(op);
      }
      return backend.compile(onnx);
    },
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
}

/** The operators that attention is to be computed by for texts of these lengths, each once. */
function operatorsOf(
  { architecture }: Model,
  description: Backend["description"],
  lengths: readonly number[],
): ReadonlySet<string> {
  const attended = architecture.blocks.filter(({ attention }) => attention);
  return new Set(lengths.flatMap((tokens) =>
    attended.flatMap((block) => {
      if (attentionOpFor(block, description, tokens) === "gqa") return ["GroupQueryAttention"];
      return block.attention!.rope ? ["RotaryEmbedding"] : [];
    })
  ));
}

/** The same engine as one on which the portable operator is the faster one. */
function withoutFusedAttention(backend: Backend): Backend {
  return {
    description: { ...backend.description, attentionOp: "attention" },
    compile: (onnx) => backend.compile(onnx),
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
}

for (const variant of ["cpu", "cpu without its fused operator", "wasm"] as const) {
  const name = variant === "wasm" ? "wasm" : "cpu";
  for (
    const { name: family } of [...Deno.readDirSync(FIXTURES)].sort((a, b) =>
      a.name < b.name ? -1 : 1
    )
  ) {
    Deno.test({
      name: `logits of ${family} on ${variant} are those of transformers`,
      sanitizeOps: false,
      sanitizeResources: false,
      async fn() {
        const folder = `${FIXTURES}/${family}`;
        const expected: Expected = JSON.parse(await Deno.readTextFile(`${folder}/expected.json`));
        const opened = (await openBackend(name, { threads: 1 })).backend;
        const backend = variant === name ? opened : withoutFusedAttention(opened);
        const operators = new Set<string>();
        const model = await openModel(new FileFolder(folder));
        const decoder = new Decoder(
          recording(backend, operators),
          await LaidOutWeights.load(model),
        );
        assert.ok(expected.cases.length > 0);
        const beyond = expected.beyond_window ? [expected.beyond_window] : [];
        const cases = [...expected.cases, ...beyond];
        for (const { input_ids, logits } of cases) {
          const difference = maxAbsDifference(
            await sequenceLogits(decoder, input_ids),
            float32FromBase64(logits),
          );
          assert.ok(difference <= expected.tolerance, `off by ${difference}`);
        }
        const lengths = cases.map(({ input_ids }) => input_ids[0].length);
        assert.deepEqual(operators, operatorsOf(model, backend.description, lengths));
        await decoder.dispose();
        model[Symbol.dispose]();
      },
    });
  }
}
