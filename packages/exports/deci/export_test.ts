import { openBackend } from "@lopper/backends";
import { CheckpointFormatError, ExportError, sizeOf, UnsupportedModelError } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { MemoryFolder } from "@lopper/formats";
import { openModel } from "@lopper/models";
import { architectureOfLayers } from "@lopper/models/testing";
import { streamedLogits } from "@lopper/runtime";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import {
  heterogeneousPlan,
  MemoryOutput,
  prunedInMemory,
} from "../../../tests/support/heterogeneous.ts";
import { exportDeci } from "./export.ts";
import { type DeciLayer, deciShape } from "./layers.ts";

const FIXTURES = new URL("../../../tests/fixtures/families/", import.meta.url);
const DEMO = new URL("../../demo-model/data/model", import.meta.url);
const open = (path: URL) => openModel(new FileFolder(fileURLToPath(path)));
const family = (name: string) => open(new URL(name, FIXTURES));
/** A config.json, to be spoiled. */
// deno-lint-ignore no-explicit-any
type Config = any;
const IDS = [1, 5, 2, 7, 3, 3, 9];

Deno.test("deci layout: heads are those of all layers, widths are filled up, an MLP never comes first", () => {
  const attention = { queryHeads: 6, kvHeads: 2 };
  const { blocks } = architectureOfLayers([
    { attention: null, mlp: null },
    { attention: null, mlp: { intermediateSize: 257 } },
    { attention: { queryHeads: 3, kvHeads: 1 }, mlp: null },
    { attention, mlp: { intermediateSize: 256 } },
    { attention: { queryHeads: 4, kvHeads: 4 }, mlp: { intermediateSize: 1 } },
  ]);
  const { queryHeads, layers } = deciShape({ blocks });
  assert.equal(queryHeads, 6);
  const named = (placed: DeciLayer["attention"]) =>
    placed === null || placed === "zero" ? placed : [placed.block.id, placed.size];
  assert.deepEqual(layers.map(({ attention, mlp }) => [named(attention), named(mlp)]), [
    ["zero", ["1.mlp", { channels: 512 }]],
    [["2.attention", { kvGroups: 2 }], null],
    [["3.attention", { kvGroups: 2 }], ["3.mlp", { channels: 256 }]],
    [["4.attention", { kvGroups: 6 }], ["4.mlp", { channels: 256 }]],
  ]);
  // Groups of 3 and of 2 heads need a multiple of both.
  const uneven = architectureOfLayers([
    { attention: { queryHeads: 4, kvHeads: 2 }, mlp: null },
    { attention: { queryHeads: 3, kvHeads: 1 }, mlp: null },
  ]);
  assert.equal(deciShape(uneven).queryHeads, 6);
});

Deno.test({
  name: "deci layout: filled up with zeros it computes the same, opened from its own config",
  // The engine keeps a thread pool for the life of the process.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const { backend } = await openBackend("cpu", { threads: 1 });
    const sources = [
      await open(DEMO),
      await family("llama-mqa"),
      await family("llama-rope-llama3"),
      await family("llama-rope-linear"),
    ];
    for (const source of sources) {
      for (
        const model of [
          source,
          await prunedInMemory(source, heterogeneousPlan(source.architecture)),
        ]
      ) {
        const output = new MemoryOutput();
        const written = await exportDeci(model, output.open);
        assert.equal(written.files.at(-1), "config.json");
        const again = await openModel(output.folder("deci"));
        const config = JSON.parse(new TextDecoder().decode(output.files["config.json"]));
        assert.equal(config.model_type, "nemotron-nas");
        assert.equal(config.block_configs.length, again.architecture.layerCount);
        assert.equal(
          again.architecture.blocks[0].id,
          "0.attention",
          "readers begin with an attention",
        );
        const mlps = new Map(again.architecture.blocks.map((block) => [block.id, sizeOf(block)]));
        for (let layer = 0; layer < again.architecture.layerCount; layer++) {
          const { ffn } = config.block_configs[layer];
          const channels = mlps.get(`${layer}.mlp`)?.channels;
          assert.equal(ffn.no_op, channels === undefined);
          assert.equal((channels ?? 0) % 256, 0);
        }
        const [expected, found] = [
          await streamedLogits(backend, model, IDS),
          await streamedLogits(backend, again, IDS),
        ];
        const gap = Math.max(...expected.map((z, i) => Math.abs(z - found[i])));
        assert.ok(gap <= 1e-4, `${model.name}: logits differ by ${gap}`);
      }
      source[Symbol.dispose]();
    }
    await backend[Symbol.asyncDispose]();
  },
});

Deno.test("deci layout: its readers take texts no longer than queries do not grow", async () => {
  using model = await family("ministral3-long");
  const output = new MemoryOutput();
  // Its window is in no file of the layout.
  const blocks = model.architecture.blocks.map((block) =>
    block.attention ? { ...block, attention: { ...block.attention, window: null } } : block
  );
  await exportDeci({ ...model, architecture: { ...model.architecture, blocks } }, output.open);
  const config = JSON.parse(new TextDecoder().decode(output.files["config.json"]));
  assert.equal(config.max_position_embeddings, 8);
  using _ = await openModel(output.folder("m"));
});

Deno.test("deci layout: what it does not know is refused, before anything is written", async () => {
  for (
    const [name, reason] of [
      ["qwen2", /biases/],
      ["qwen3", /norms of queries/],
      ["olmo2", /norms behind its blocks/],
      ["mistral-sliding", /window/],
    ]
  ) {
    const model = await family(name as string);
    const nothing = () => assert.fail("nothing is written");
    await assert.rejects(
      exportDeci(model, nothing),
      (error) => error instanceof ExportError && (reason as RegExp).test(error.message),
    );
    model[Symbol.dispose]();
  }
});

Deno.test("deci layout: a malformed config is one clear sentence", async () => {
  const model = await family("llama-mqa");
  const output = new MemoryOutput();
  await exportDeci(model, output.open);
  const config = JSON.parse(new TextDecoder().decode(output.files["config.json"]));
  const opened = (change: (config: Record<string, unknown>) => void) => {
    const changed = structuredClone(config);
    change(changed);
    return openModel(
      new MemoryFolder("deci", { ...output.files, "config.json": JSON.stringify(changed) }),
    );
  };
  const cases: [
    (c: Config) => void,
    typeof CheckpointFormatError | typeof UnsupportedModelError,
    RegExp,
  ][] = [
    [(c) => delete c.block_configs, CheckpointFormatError, /block_configs/],
    [(c) => c.block_configs[0].attention.n_heads_in_group = 7, CheckpointFormatError, /0 has 7/],
    [(c) => c.block_configs[1].ffn = {}, CheckpointFormatError, /1 has neither ffn_mult/],
    [(c) => c.block_configs[0].ffn.ffn_mult = "2", CheckpointFormatError, /0\.ffn\.ffn_mult/],
    [(c) => c.block_configs.pop(), UnsupportedModelError, /lopper\.layers/],
    [
      (c) => c.block_configs[0].ffn.replace_with_linear = true,
      UnsupportedModelError,
      /linear layer/,
    ],
    [(c) => c.block_configs[0].ffn.ffn_mult *= 4, CheckpointFormatError, /its shape is/],
  ];
  for (const [change, kind, message] of cases) {
    await assert.rejects(
      opened(change),
      (error) => error instanceof kind && message.test(error.message),
      String(message),
    );
  }
  model[Symbol.dispose]();
});
