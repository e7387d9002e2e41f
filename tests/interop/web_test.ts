/**
 * The page in Chromium: it decides what the command line decides, goes on after a closed tab, and
 * asks nobody.
 */
import { countParameters } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { type Model, openModel } from "@lopper/models";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "puppeteer-core";
import { buildPage } from "../../scripts/web/build_page.ts";
import { PATIENCE, withBrowser } from "../support/browser.ts";
import { done, inTemporaryFolder } from "../support/cli.ts";
import { demoGguf } from "../support/demo_gguf.ts";
import {
  complaintsOf,
  fill,
  keptResults,
  lookAt,
  press,
  servePage,
  waitForResult,
  waitForText,
} from "../support/web_page.ts";
import { zipEntries } from "../support/zip.ts";

/** Settings with which both take little time. */
const ASKED = { ratio: "6", samples: "4", seqLen: "64" } as const;
const WORKS_OFFLINE = "It works without a network now.";
const GGUF_INPUT = '[aria-label="GGUF file"]';
const FOLDER_INPUT = '[aria-label="Folder of a model"]';
const OWN_TEXT = fileURLToPath(new URL("../fixtures/held_out.txt", import.meta.url));

/** What the command line makes of the same. */
async function byCommandLine(folder: string, model: readonly string[]) {
  const { ratio, samples, seqLen } = ASKED;
  const asked = ["--ratio", ratio, "--samples", samples, "--seq-len", seqLen];
  const engine = ["--backend", "wasm", "--threads", "1", "--memory", "2GB"];
  await done(["prune", ...model, ...asked, ...engine, "--out", "by-cli"], folder);
  const weights = await Deno.readFile(join(folder, "by-cli/model.safetensors"));
  return {
    plan: await Deno.readTextFile(join(folder, "by-cli/lopper_plan.json")),
    weights: createHash("sha256").update(weights).digest("hex"),
  };
}

/** A test with the page, built anew, and a browser. */
function testPage(
  name: string,
  body: (browser: Browser, folder: string, built: string) => Promise<void>,
) {
  Deno.test({
    name,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () =>
      withBrowser("this test", (browser) =>
        inTemporaryFolder(async (folder) => {
          const built = join(folder, "page");
          await buildPage(built);
          await body(browser, folder, built);
        })),
  });
}

testPage(
  "the page: a run whose tab was closed has the result of the command line, without a network",
  async (browser, folder, built) => {
    const pictures = await Deno.makeTempDir({ prefix: "lopper-web-pictures-" });
    const expected = await byCommandLine(folder, []);
    const server = servePage(built);
    const page = await browser.newPage();
    const complaints = complaintsOf(page);
    await page.goto(server.url, { timeout: PATIENCE });
    await waitForText(page, WORKS_OFFLINE);
    await lookAt(page, "start", pictures);
    // From here on there is nobody to ask.
    await server[Symbol.asyncDispose]();

    await press(page, "Take the built-in model");
    await fill(page, ASKED);
    await lookAt(page, "chosen", pictures);
    await press(page, "Make it smaller");
    await page.waitForSelector("svg.chart", { timeout: PATIENCE });
    await lookAt(page, "running", pictures);
    const other = await browser.newPage();
    await other.goto(server.url, { timeout: PATIENCE });
    await waitForText(other, "another tab works on it");
    await other.close();
    await page.close();

    const again = await browser.newPage();
    const later = complaintsOf(again);
    await again.goto(server.url, { timeout: PATIENCE });
    await waitForText(again, "of 6 %");
    await lookAt(again, "stopped", pictures);
    await press(again, "Go on with lopper-demo, 6 %");
    await waitForResult(again);
    await lookAt(again, "finished", pictures);
    assert.deepEqual(await keptResults(again), [expected]);
    assert.deepEqual([...complaints, ...later], []);
    console.log(`pictures of the page: ${pictures}`);
  },
);

testPage(
  "the page: a model and a text of one's own; the result talks, is saved, and deleted",
  async (browser, folder, built) => {
    const gguf = join(folder, "own.gguf");
    await Deno.writeFile(gguf, await demoGguf());
    const preset = ["--preset", "multipruner", "--width-samples", "4"];
    const expected = await byCommandLine(folder, [gguf, "--calibration", OWN_TEXT, ...preset]);
    await using server = servePage(built);
    const page = await browser.newPage();
    const complaints = complaintsOf(page);
    const session = await page.createCDPSession();
    const downloads = { behavior: "allow", downloadPath: folder } as const;
    await session.send("Browser.setDownloadBehavior", downloads);
    await page.goto(server.url, { timeout: PATIENCE });
    await waitForText(page, WORKS_OFFLINE);
    const before = server.requests.length;

    await choose(page, GGUF_INPUT, gguf);
    await fill(page, { ...ASKED, preset: "multipruner" });
    await choose(page, "#text", OWN_TEXT);
    await waitForText(page, "What the model says to held_out.txt decides");
    await press(page, "Make it smaller");
    await waitForResult(page);
    assert.deepEqual(await keptResults(page), [expected]);

    await press(page, "Go on");
    await waitForText(page, "Both models have answered.");
    await press(page, "As a GGUF file");
    using written = await openModel(new FileFolder(join(folder, "by-cli")));
    await isSameModel(await saved(folder, "own-6.gguf"), written);
    await press(page, "As a zip file");
    const zip = await zipEntries(await saved(folder, "own-6.zip"));
    const weights = zip.get("own-6/model.safetensors")!;
    assert.equal(createHash("sha256").update(weights).digest("hex"), expected.weights);
    for (const file of ["run.json", "config.json", "README.md"]) {
      assert.ok(zip.has(`own-6/${file}`));
    }

    await press(page, "Back to the start");
    page.on("dialog", (dialog) => dialog.accept());
    await press(page, "Delete own.gguf, 6 %");
    await waitForText(page, "The run was deleted.");
    assert.deepEqual(await keptResults(page), []);
    assert.deepEqual(complaints, []);
    // The browser itself looks whether there is a newer page.
    const asked = server.requests.slice(before).filter((path) => path !== "/service_worker.js");
    assert.deepEqual(asked, [], "nobody was asked after the page was there");
  },
);

/** Chooses a file as its chooser does. */
async function choose(page: Page, selector: string, path: string) {
  const input = await page.waitForSelector(selector, { timeout: PATIENCE });
  await (input as unknown as { uploadFile(path: string): Promise<void> }).uploadFile(path);
}

/** Waits for a file that the browser saves, whole. */
async function saved(folder: string, name: string): Promise<string> {
  const path = join(folder, name);
  for (const until = Date.now() + PATIENCE; Date.now() < until;) {
    if (await Deno.stat(path).catch(() => null)) return path;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
  throw new Error(`${name} was not saved; there is ${names.join(", ")}`);
}

/**
 * A GGUF file holds a model, and as good as nothing besides: llama.cpp wants norms of blocks that
 * are gone.
 */
async function isSameModel(file: string, model: Model) {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.rename(file, join(folder, "model.gguf"));
    using found = await openModel(new FileFolder(folder));
    const [there, expected] = [found, model].map((one) => countParameters(one.architecture).total);
    assert.ok(there >= expected && there < 1.001 * expected, `${there} of ${expected} parameters`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What the page says went wrong. */
async function problem(page: Page): Promise<string> {
  const found = await page.waitForSelector(".problem", { timeout: PATIENCE });
  const text = await found!.evaluate((element) =>
    (element as unknown as { textContent: string }).textContent
  );
  await press(page, "Dismiss");
  return text.replace("Dismiss", "").trim();
}

testPage(
  "the page: what cannot be is a sentence, before the work, and the page goes on",
  async (browser, folder, built) => {
    await using server = servePage(built);
    const page = await browser.newPage();
    const complaints = complaintsOf(page);
    await page.goto(server.url, { timeout: PATIENCE });
    await waitForText(page, WORKS_OFFLINE);
    const junk = join(folder, "junk.gguf");
    await Deno.writeTextFile(junk, "no model");
    await choose(page, GGUF_INPUT, junk);
    assert.match(await problem(page), /^junk\.gguf.*GGUF.*\.$/);
    await writeFolder(join(folder, "notes"), { "notes.txt": "no model" });
    await choose(page, FOLDER_INPUT, join(folder, "notes"));
    assert.match(await problem(page), /config\.json/);

    // An embedding that no engine of 4 GB holds in float32.
    await writeHugeModel(join(folder, "huge"), join(built, "data/model/tokenizer.json"));
    await choose(page, FOLDER_INPUT, join(folder, "huge"));
    await page.waitForSelector("#ratio", { timeout: PATIENCE });
    await press(page, "Make it smaller");
    assert.match(
      await problem(page),
      /^This model is too large for a browser tab: it needs [\d.]+ GB of memory and may take /,
    );

    await press(page, "Choose another");
    const session = await page.createCDPSession();
    const origin = new URL(server.url).origin;
    const { usage } = await session.send("Storage.getUsageAndQuota", { origin });
    const quota = { origin, quotaSize: usage + 5e6 };
    await session.send("Storage.overrideQuotaForOrigin", quota);
    await press(page, "Take the built-in model");
    await fill(page, ASKED);
    await press(page, "Make it smaller");
    assert.match(
      await problem(page),
      /^This run needs 11\.0 MB of the browser's storage .* there is less;/,
    );
    assert.deepEqual(await keptResults(page), []);
    assert.deepEqual(complaints, []);
  },
);

/** A model whose embedding has 300,000 rows, in a folder. */
async function writeHugeModel(folder: string, tokenizer: string) {
  const [vocabulary, hidden, inner] = [300_000, 4096, 8192];
  const config = {
    ...{ model_type: "llama", architectures: ["LlamaForCausalLM"], vocab_size: vocabulary },
    ...{ hidden_size: hidden, intermediate_size: inner, num_hidden_layers: 1 },
    ...{ num_attention_heads: 1, num_key_value_heads: 1, head_dim: 64, rms_norm_eps: 1e-5 },
    ...{ max_position_embeddings: 512, rope_theta: 10_000, tie_word_embeddings: true },
    ...{ torch_dtype: "bfloat16", hidden_act: "silu" },
  };
  const layer = "model.layers.0.";
  const shapes: readonly (readonly [string, readonly number[]])[] = [
    ["model.embed_tokens.weight", [vocabulary, hidden]],
    ...["q", "k", "v"].map((name) =>
      [`${layer}self_attn.${name}_proj.weight`, [64, hidden]] as const
    ),
    [`${layer}self_attn.o_proj.weight`, [hidden, 64]],
    [`${layer}mlp.gate_proj.weight`, [inner, hidden]],
    [`${layer}mlp.up_proj.weight`, [inner, hidden]],
    [`${layer}mlp.down_proj.weight`, [hidden, inner]],
    [`${layer}input_layernorm.weight`, [hidden]],
    [`${layer}post_attention_layernorm.weight`, [hidden]],
    ["model.norm.weight", [hidden]],
  ];
  let end = 0;
  const tensors = shapes.map(([name, shape]) => {
    const from = end;
    end += 2 * shape.reduce((product, n) => product * n, 1);
    return [name, { dtype: "BF16", shape, data_offsets: [from, end] }];
  });
  await writeFolder(folder, {
    "config.json": JSON.stringify(config),
    "tokenizer.json": await Deno.readTextFile(tokenizer),
  });
  const header = new TextEncoder().encode(JSON.stringify(Object.fromEntries(tensors)));
  const length = new Uint8Array(new BigUint64Array([BigInt(header.length)]).buffer);
  const file = join(folder, "model.safetensors");
  await Deno.writeFile(file, new Uint8Array([...length, ...header]));
  // What is not written takes no room on the disk.
  await Deno.truncate(file, 8 + header.length + end);
}

async function writeFolder(folder: string, files: Readonly<Record<string, string>>) {
  await Deno.mkdir(folder);
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(join(folder, name), text);
  }
}

testPage(
  "the page: a host that sends no headers has it all the same, and isolated from the second visit on",
  async (browser, _folder, built) => {
    await using server = servePage(built, {});
    const page = await browser.newPage();
    const complaints = complaintsOf(page);
    const isIsolated = () =>
      page.evaluate(() =>
        (globalThis as unknown as { crossOriginIsolated: boolean }).crossOriginIsolated
      );
    await page.goto(server.url, { timeout: PATIENCE });
    await waitForText(page, WORKS_OFFLINE);
    assert.equal(await isIsolated(), false);
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await waitForText(page, "5.51 M parameters");
    const focused = await page.evaluate(() =>
      (globalThis as unknown as { document: { activeElement: { id: string } } })
        .document.activeElement.id
    );
    assert.equal(focused, "model", "who goes on by keyboard begins with what is new");
    await page.reload();
    assert.equal(await isIsolated(), true);
    await press(page, "Take the built-in model");
    await waitForText(page, "5.51 M parameters");
    assert.deepEqual(complaints, []);
  },
);
